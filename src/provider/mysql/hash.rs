//! What the server keeps of a password, made here, so that the password itself is in no statement and in no log.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::{ProviderError, random};

/// Rounds of `caching_sha2_password`; its format counts them in thousands.
const ROUNDS: usize = 5000;
/// Length of its salt, in bytes.
const SALT_CHARS: usize = 20;
/// The alphabet of `crypt(3)`.
const CRYPT64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The bytes of the digest in the order in which `crypt(3)` writes them, three to four characters.
const ORDER: [[usize; 3]; 10] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
];

/// As `mysql_native_password` keeps it: the SHA-1 of the SHA-1.
pub(super) fn native(password: &str) -> String {
    format!("*{}", hex::encode_upper(Sha1::digest(Sha1::digest(password))))
}

/// As `caching_sha2_password` keeps it: `$A$005$`, the salt, and `crypt(3)` with SHA-256 over 5000 rounds.
pub(super) fn caching_sha2(password: &str) -> Result<String, ProviderError> {
    let salt = random::base62(SALT_CHARS)?;
    let digest = sha256_crypt(password.as_bytes(), salt.as_bytes(), ROUNDS);
    Ok(format!("$A$005${}{digest}", salt.as_str()))
}

/// The digest of SHA-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512"), steps 1 to 22; the server's salt is
/// longer than the 16 bytes that the paper has.
fn sha256_crypt(key: &[u8], salt: &[u8], rounds: usize) -> String {
    let repeated = |digest: &[u8], length: usize| digest.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    // The names in the paper: B, A, P, S and C.
    let second = Sha256::new().chain_update(key).chain_update(salt).chain_update(key).finalize();
    let mut first = Sha256::new().chain_update(key).chain_update(salt).chain_update(repeated(&second, key.len()));
    let mut bits = key.len();
    while bits > 0 {
        if bits & 1 == 1 {
            first.update(second);
        } else {
            first.update(key);
        }
        bits >>= 1;
    }
    let mut last = first.finalize();
    let keys = key.iter().fold(Sha256::new(), |hash, _| hash.chain_update(key)).finalize();
    let keys = repeated(&keys, key.len());
    let times = 16 + usize::from(last.first().copied().unwrap_or_default());
    let salts = (0..times).fold(Sha256::new(), |hash, _| hash.chain_update(salt)).finalize();
    let salts = repeated(&salts, salt.len());
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut hash = Sha256::new();
        hash.update(if odd { &keys[..] } else { &last[..] });
        if round % 3 != 0 {
            hash.update(&salts);
        }
        if round % 7 != 0 {
            hash.update(&keys);
        }
        hash.update(if odd { &last[..] } else { &keys[..] });
        last = hash.finalize();
    }
    let byte = |index: usize| u32::from(last.get(index).copied().unwrap_or_default());
    let mut text = String::with_capacity(43);
    for [high, middle, low] in ORDER {
        write_64(&mut text, byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    write_64(&mut text, byte(31) << 8 | byte(30), 3);
    text
}

fn write_64(text: &mut String, mut bits: u32, characters: usize) {
    for _ in 0..characters {
        let at = usize::try_from(bits & 0x3f).unwrap_or_default();
        text.extend(CRYPT64.get(at).map(|b| char::from(*b)));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_crypt_is_that_of_the_paper() {
        // As `crypt(3)` of the GNU C library has them.
        let long = "k".repeat(40);
        for (key, salt, rounds, digest) in [
            ("Hello world!", "saltstring", 5000, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            ("Hello world!", "saltstringsaltst", 10_000, "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
            ("This is just a test", "toolongsaltstrin", 5000, "Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
            (&long, "saltstring", 5000, "ufTyBuhQEMIfS95s1UC/6JJqnG0d/GwCzvjnxa5xJe3"),
        ] {
            assert_eq!(sha256_crypt(key.as_bytes(), salt.as_bytes(), rounds), digest);
        }
    }

    #[test]
    fn a_native_hash_is_that_of_the_server() {
        // `SELECT PASSWORD('foo')`.
        assert_eq!(native("foo"), "*F3A2A51A9B0F2BE2468926B4132313728C250DBF");
    }

    #[test]
    fn a_salted_hash_has_the_form_the_server_wants() {
        let hash = caching_sha2("foo").unwrap();
        assert_eq!((hash.len(), hash.starts_with("$A$005$")), (70, true));
        assert_ne!(hash, caching_sha2("foo").unwrap());
    }
}
