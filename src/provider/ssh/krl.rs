//! OpenSSH's key revocation list, as `PROTOCOL.krl` fixes it: a header, then sections, each a type byte and a string.
//! Integers are big-endian; a string is its length (`uint32`) and its bytes.

use chrono::{DateTime, Utc};

use super::wire::{string, strings};

/// `SSHKRL\n\0`.
const MAGIC: u64 = 0x5353_484b_524c_0a00;
const FORMAT_VERSION: u32 = 1;
const SECTION_CERTIFICATES: u8 = 1;
const SECTION_FINGERPRINT_SHA256: u8 = 5;
const CERT_SERIAL_LIST: u8 = 0x20;
const CERT_KEY_ID: u8 = 0x23;

/// What is revoked.
#[derive(Default)]
pub(super) struct Revoked {
    /// Serials of certificates of one CA. 0 is left out: a list with it is refused whole, and then nobody gets in.
    pub serials: Vec<u64>,
    /// Key ids of certificates of that CA, exactly.
    pub key_ids: Vec<String>,
    /// SHA-256 of public keys (their wire form, not a certificate's).
    pub fingerprints: Vec<[u8; 32]>,
}

impl Revoked {
    /// The list as bytes. `ca` is the CA's public key in wire form; `edition` goes up with each change.
    pub(super) fn encode(mut self, ca: &[u8], edition: u64, generated: DateTime<Utc>) -> Vec<u8> {
        self.serials.sort_unstable();
        self.serials.dedup();
        self.serials.retain(|serial| *serial != 0);
        self.key_ids.sort_unstable();
        self.key_ids.dedup();
        // Section 4 wants the hashes in lexical order.
        self.fingerprints.sort_unstable();
        self.fingerprints.dedup();

        let mut list = Vec::new();
        // Section 1: magic, format, version, date, flags, reserved, comment.
        list.extend(MAGIC.to_be_bytes());
        list.extend(FORMAT_VERSION.to_be_bytes());
        list.extend(edition.to_be_bytes());
        list.extend(u64::try_from(generated.timestamp()).unwrap_or_default().to_be_bytes());
        list.extend(0_u64.to_be_bytes());
        string(&mut list, b"");
        string(&mut list, b"countersign");

        if !self.serials.is_empty() || !self.key_ids.is_empty() {
            // Section 2: the CA and a reserved field, then sections within the section.
            let mut certificates = Vec::new();
            string(&mut certificates, ca);
            string(&mut certificates, b"");
            if !self.serials.is_empty() {
                // Section 2.1: serials one after another.
                let serials: Vec<u8> = self.serials.iter().flat_map(|serial| serial.to_be_bytes()).collect();
                section(&mut certificates, CERT_SERIAL_LIST, &serials);
            }
            if !self.key_ids.is_empty() {
                // Section 2.4: strings.
                certificates.push(CERT_KEY_ID);
                strings(&mut certificates, self.key_ids.iter().map(String::as_str));
            }
            section(&mut list, SECTION_CERTIFICATES, &certificates);
        }
        if !self.fingerprints.is_empty() {
            // Section 4: strings of 32 bytes.
            let mut hashes = Vec::new();
            self.fingerprints.iter().for_each(|hash| string(&mut hashes, hash));
            section(&mut list, SECTION_FINGERPRINT_SHA256, &hashes);
        }
        list
    }
}

fn section(to: &mut Vec<u8>, kind: u8, data: &[u8]) {
    to.push(kind);
    string(to, data);
}
