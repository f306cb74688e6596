//! `token`: what is signed, as a library we did not write reads it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use countersign::provider::{self, Provider, ProviderError, Surroundings};
use serde_json::{Value, json};

use crate::support::{
    door::{Place, TAG, ending_in, map, now, order, part},
    jwt::{believed, of},
    process::{run, until},
};

async fn document(provider: &dyn Provider, name: &str) -> String {
    let document = provider.public(name).await.unwrap();
    assert_eq!(document.content_type, "application/json");
    String::from_utf8(document.body).unwrap()
}

#[tokio::test]
async fn a_token_says_exactly_what_was_granted() {
    let place = Place::new(&[]);
    let provider =
        place.open("token", "prod-api", &json!({ "issuer": "https://access.example.com", "audience": "billing" }));
    let order = order("prod-api", 4821);
    provider.grant(&order).await.unwrap();
    let before = now().timestamp();
    let credential = provider.credential(&order, 1).await.unwrap();
    let jwks = document(&*provider, "jwks.json").await;
    let said = believed(&of(&credential), &jwks, "billing", "https://access.example.com").unwrap();

    let claims = &said["claims"];
    let iat = claims["iat"].as_i64().unwrap();
    assert!((before..=before + 2).contains(&iat), "{iat}");
    assert_eq!(
        *claims,
        json!({
            "iss": "https://access.example.com", "sub": "requester", "aud": "billing", "resource": "prod-api",
            "exp": order.not_after.timestamp(), "nbf": iat - 60, "iat": iat, "jti": format!("cs_{TAG}_4821:1"),
        })
    );
    let keys: Value = serde_json::from_str(&jwks).unwrap();
    assert_eq!(said["header"], json!({ "alg": "EdDSA", "typ": "JWT", "kid": keys["keys"][0]["kid"] }));
    let mut names: Vec<_> = keys["keys"][0].as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"], "nothing private is published");
    assert_eq!(credential.public_id, format!("cs_{TAG}_4821:1"));

    // The line can be pasted, and what it says of checking names what is needed.
    let line = part(&credential, "shell");
    let pasted = run(Command::new("sh").arg("-c").arg(format!("{line}; printf %s \"$PROD_API_TOKEN\"")));
    assert_eq!(pasted, of(&credential));
    let how = part(&credential, "checks");
    for word in ["/providers/prod-api/jwks.json", "/providers/prod-api/revoked.json", "billing", "EdDSA"] {
        assert!(how.contains(word), "{word} in {how}");
    }

    // For anybody else it is nothing.
    for (audience, issuer) in [("payroll", "https://access.example.com"), ("billing", "https://evil.example.com")] {
        assert!(believed(&of(&credential), &jwks, audience, issuer).is_err(), "{audience} {issuer}");
    }
    let mut forged = of(&credential);
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    assert!(believed(&forged, &jwks, "billing", "https://access.example.com").is_err());
}

#[tokio::test]
async fn a_token_ends_by_itself() {
    let place = Place::new(&[]);
    let provider = place.open("token", "prod-api", &json!({}));
    let order = ending_in(&order("prod-api", 1), 3);
    provider.grant(&order).await.unwrap();
    let credential = provider.credential(&order, 1).await.unwrap();
    let jwks = document(&*provider, "jwks.json").await;
    let believed = || believed(&of(&credential), &jwks, "prod-api", "countersign");
    believed().unwrap();
    until("the end", || now() >= order.not_after);
    let refused = believed().unwrap_err();
    assert!(refused.contains("ExpiredSignatureError"), "{refused}");
}

#[tokio::test]
async fn void_tokens_are_listed_until_they_have_ended() {
    let place = Place::new(&[]);
    let clock = Arc::new(Mutex::new(now()));
    let read = Arc::clone(&clock);
    let surroundings = Surroundings { now: Arc::new(move || *read.lock().unwrap()), ..place.surroundings() };
    let provider = provider::open("token", "prod-api", &map(&json!({})), &surroundings).unwrap();
    let order_a = order("prod-api", 1);
    assert_eq!(document(&*provider, "revoked.json").await, r#"{"revoked":[]}"#);
    provider.grant(&order_a).await.unwrap();
    for n in 1..=3 {
        provider.credential(&order_a, n).await.unwrap();
    }
    // The same number again, as after a crash before it was shown, is the same token again and voids nothing more.
    provider.credential(&order_a, 3).await.unwrap();
    let entry = |n: u32| json!({ "jti": format!("cs_{TAG}_1:{n}"), "exp": order_a.not_after.timestamp() });
    let listed = async || serde_json::from_str::<Value>(&document(&*provider, "revoked.json").await).unwrap();
    assert_eq!(listed().await, json!({ "revoked": [entry(1), entry(2)] }));
    provider.revoke(&order_a).await.unwrap();
    assert_eq!(listed().await, json!({ "revoked": [entry(1), entry(2), entry(3)] }));

    *clock.lock().unwrap() += TimeDelta::minutes(100);
    provider.revoke(&order("prod-api", 2)).await.unwrap();
    assert_eq!(listed().await, json!({ "revoked": [] }));
    assert!(provider.public("nothing").await.is_none());
}

#[tokio::test]
async fn the_key_survives_and_can_be_the_operators() {
    let place = Place::new(&[]);
    let first = document(&*place.open("token", "prod-api", &json!({})), "jwks.json").await;
    let again = document(&*place.open("token", "prod-api", &json!({})), "jwks.json").await;
    assert_eq!(first, again);
    let file = place.dir.path().join("prod-api/jwt_key.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    run(Command::new("openssl").args(["pkey", "-noout", "-in"]).arg(&file));

    // One that openssl made.
    let own = place.dir.path().join("own.pem");
    run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&own));
    let provider = place.open("token", "other-api", &json!({ "key_file": own }));
    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
    let order = order("other-api", 1);
    provider.grant(&order).await.unwrap();
    let credential = provider.credential(&order, 1).await.unwrap();
    believed(&of(&credential), &document(&*provider, "jwks.json").await, "other-api", "countersign").unwrap();
    assert!(believed(&of(&credential), &first, "other-api", "countersign").is_err(), "not by the other key");

    for (name, words) in [("nowhere.pem", "can't be read"), ("rsa.pem", "is not an Ed25519 key")] {
        let path = place.dir.path().join(name);
        if name == "rsa.pem" {
            run(Command::new("openssl").args(["genpkey", "-algorithm", "rsa", "-out"]).arg(&path));
        }
        let wrong = place.open("token", "wrong-api", &json!({ "key_file": path }));
        let found = wrong.check().await.unwrap().join("; ");
        assert!(found.contains(words), "{found}");
        assert!(matches!(wrong.credential(&order, 1).await, Err(ProviderError::Permanent(_))));
    }
}

/// Keys in a key set, by their ids.
async fn kids(provider: &dyn Provider) -> Vec<String> {
    let set: Value = serde_json::from_str(&document(provider, "jwks.json").await).unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn another_key_signs_in_time_and_the_old_one_stays_until_its_last_token_is_over() {
    let place = Place::new(&[]);
    let start = now();
    let clock = Arc::new(Mutex::new(start));
    let read = Arc::clone(&clock);
    let surroundings = Surroundings { now: Arc::new(move || *read.lock().unwrap()), ..place.surroundings() };
    let provider = provider::open("token", "prod-api", &map(&json!({ "rotate_days": 30 })), &surroundings).unwrap();
    let moved_to = |days: i64, minutes: i64| {
        *clock.lock().unwrap() = start + TimeDelta::days(days) + TimeDelta::minutes(minutes);
    };
    let first = kids(provider.as_ref()).await;
    assert_eq!(first.len(), 2, "the one that signs and the next");
    let by = async |number: u64, minutes: i64| {
        let mut order = order("prod-api", number);
        order.not_after = *clock.lock().unwrap() + TimeDelta::minutes(minutes);
        provider.grant(&order).await.unwrap();
        of(&provider.credential(&order, 1).await.unwrap())
    };
    // The last token of the first key is cut just before the turn and ends an hour after it.
    moved_to(29, 23 * 60 + 59);
    let last_of_first = by(1, 61).await;
    assert_eq!(kids(provider.as_ref()).await, first);
    moved_to(30, 0);
    let second = kids(provider.as_ref()).await;
    assert_eq!(
        (second.len(), &second[0], &second[2]),
        (3, &first[1], &first[0]),
        "the next signs, the old one is published"
    );
    let first_of_second = by(2, 30).await;
    // Whoever kept the set of the first day knows the key of the second token, and today's set knows both.
    let jwks = document(&*provider, "jwks.json").await;
    for token in [&last_of_first, &first_of_second] {
        let kid = kid_of(token);
        assert!(jwks.contains(&kid) && first.contains(&kid), "{kid}");
    }
    assert_ne!(kid_of(&last_of_first), kid_of(&first_of_second));
    // As long as it may be shown, its key is there; then it goes.
    moved_to(30, 60);
    assert_eq!(kids(provider.as_ref()).await, second);
    moved_to(30, 62);
    assert_eq!(kids(provider.as_ref()).await, second[..2]);
    // Another instance, as after a restart, has the same.
    let again = provider::open("token", "prod-api", &map(&json!({ "rotate_days": 30 })), &surroundings).unwrap();
    assert_eq!(kids(again.as_ref()).await, second[..2]);
    // Killed after the turn and before the next one is made: it is made then.
    fs::remove_file(place.dir.path().join("prod-api/jwt_next.pem")).unwrap();
    let healed = kids(again.as_ref()).await;
    assert_eq!((healed.len(), &healed[0]), (2, &second[0]));
    for name in ["jwt_key.pem", "jwt_next.pem", "jwt_keys.json"] {
        let mode = fs::metadata(place.dir.path().join("prod-api").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_of_the_operators_is_replaced_by_them_and_the_old_one_stays_published() {
    let place = Place::new(&[]);
    let own = place.dir.path().join("own.pem");
    let make = || run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&own));
    make();
    let provider = place.open("token", "prod-api", &json!({ "key_file": own }));
    let order = order("prod-api", 1);
    provider.grant(&order).await.unwrap();
    let before = of(&provider.credential(&order, 1).await.unwrap());
    let first = kids(provider.as_ref()).await;
    assert_eq!(first.len(), 1);
    make();
    let second = kids(provider.as_ref()).await;
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    let jwks = document(&*provider, "jwks.json").await;
    believed(&before, &jwks, "prod-api", "countersign").unwrap();
    let after = of(&provider.credential(&order, 2).await.unwrap());
    believed(&after, &jwks, "prod-api", "countersign").unwrap();
}

#[tokio::test]
async fn a_hostile_name_stays_a_name() {
    let place = Place::new(&[]);
    let provider = place.open("token", "prod-api", &json!({}));
    let jwks = document(&*provider, "jwks.json").await;
    for (number, name) in ["\",\"sub\":\"root", "'; DROP ROLE", "Zoë\n\u{202e}moc"].iter().enumerate() {
        let mut order = order("prod-api", u64::try_from(number).unwrap());
        order.holder.name = (*name).to_owned();
        provider.grant(&order).await.unwrap();
        let credential = provider.credential(&order, 1).await.unwrap();
        let said = believed(&of(&credential), &jwks, "prod-api", "countersign").unwrap();
        assert_eq!(said["claims"]["sub"], **name);
    }
}
