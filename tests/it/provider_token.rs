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
