//! `ssh`: OpenSSH user certificates from a certificate authority of our own.
//!
//! The target is every server that trusts the authority (`TrustedUserCAKeys`) and reads its revocation list
//! (`RevokedKeys`); nothing is called there. A certificate's serial is the request's id and its key id is
//! `<external id>:<n>:<holder>`, which is what sshd writes into its log.
//!
//! On a server: `TrustedUserCAKeys` names a copy of the public document `ca.pub`, `RevokedKeys` a copy of `krl` that is
//! fetched every minute (sshd reads it at each login), and `AuthorizedPrincipalsFile` says which principals may be whom.
//! Without the list, a grant that is ended early works until its own end. A key of the operator's (`ca_key_file`) signs
//! for one ledger only: the list names requests by their number.
//!
//! Certificates end by themselves, to the second, and so do the sessions opened with them ([`session`]). What the
//! holder of a shell account can leave behind there (a detached process, a cron job, a key of their own) no certificate
//! can undo: give accounts that can't, or that are thrown away.

mod authority;
mod krl;
mod session;
mod settings;
mod subject;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Credential, CredentialPart, Description, Item, NativeExpiry, Order, Provider, ProviderError, PublicDocument,
    SessionEnd, Surroundings, blocking,
    files::{self, Folder, Lock},
    orders::{checked, not_over},
    quote::shell,
    random,
    register::Register,
};
use authority::{Authority, Statement};
use settings::SshSettings;
pub(super) use settings::read;
use subject::Subject;

/// The provider's name in the config.
pub(super) const NAME: &str = "ssh";
const REGISTER: &str = "certificates.json";
const CA_KEY: &str = "ca_key";
const KRL: &str = "revoked.krl";
/// How slow the clock of a server may be for a fresh certificate to be valid there, in seconds.
const SLOW_CLOCK_SECS: i64 = 60;
/// Longest holder's name in a key id, in bytes.
const HOLDER_MAX_BYTES: usize = 64;

/// The provider; its parts are shared with the threads that block.
pub(super) struct Ssh(Arc<Inner>);

struct Inner {
    resource: String,
    principals: Vec<String>,
    settings: SshSettings,
    folder: Folder,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// How the revocation list names one certificate. The list is public: a key we made is named by its hash, so that
/// nobody's name is in it; a person's own key would be revoked whole by that, so its certificate goes by its key id.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Fingerprint(String),
    KeyId(String),
}

impl Ssh {
    pub(super) fn new(resource: &str, settings: SshSettings, surroundings: &Surroundings) -> Self {
        Self(Arc::new(Inner {
            resource: resource.to_owned(),
            principals: settings.principals.clone().unwrap_or_else(|| vec![resource.to_owned()]),
            settings,
            folder: Folder::new(&surroundings.dir, resource),
            now: Arc::clone(&surroundings.now),
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &Lock) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let held = inner.folder.lock()?;
            work(&inner, &held)
        })
        .await
    }
}

#[async_trait]
impl Provider for Ssh {
    fn describe(&self) -> Description {
        Description {
            name: NAME,
            native_expiry: NativeExpiry::Exact,
            ends_sessions: if self.0.settings.force_end { SessionEnd::AtNotAfter } else { SessionEnd::No },
            lists: true,
            shared: false,
            activity: false,
            max_ttl_secs: None,
        }
    }

    fn plan(&self) -> Vec<String> {
        let settings = &self.0.settings;
        let logins = self.0.principals.join(", ");
        let from = settings.source_addresses.as_ref().map_or_else(String::new, |from| format!(", from {from} only"));
        let sessions = if settings.force_end { "sessions are cut then" } else { "sessions that are open then live on" };
        vec![
            format!("sign an SSH certificate to log in as {logins}{from}"),
            format!("it expires when the time is up; {sessions}"),
        ]
    }

    async fn check(&self) -> Result<Vec<String>, ProviderError> {
        self.run(|inner, held| {
            let mut lacking = Vec::new();
            if let Err(error) = inner.authority(held) {
                lacking.push(error.to_string());
            } else if inner.settings.ca_key_file.as_ref().is_some_and(|file| files::is_open_to_others(file.as_ref())) {
                lacking.push("others may read `ssh.ca_key_file`: run `chmod 600` on it".into());
            }
            Ok(lacking)
        })
        .await
    }

    async fn grant(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        not_over(order, (self.0.now)())?;
        let order = order.clone();
        self.run(move |inner, held| {
            let authority = inner.authority(held)?;
            let mut register = inner.register()?;
            register.open(&order);
            inner.publish(held, &authority, register)
        })
        .await
    }

    async fn credential(&self, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        checked(order)?;
        not_over(order, (self.0.now)())?;
        let order = order.clone();
        self.run(move |inner, held| inner.credential(held, &order, n)).await
    }

    async fn revoke(&self, order: &Order) -> Result<(), ProviderError> {
        checked(order)?;
        let order = order.clone();
        self.run(move |inner, held| {
            let authority = inner.authority(held)?;
            let mut register = inner.register()?;
            register.close(&order);
            inner.publish(held, &authority, register)
        })
        .await
    }

    async fn list(&self, log_tag: &str) -> Result<Vec<Item>, ProviderError> {
        let log_tag = log_tag.to_owned();
        self.run(move |inner, _| Ok(inner.register()?.items(&log_tag))).await
    }

    async fn public(&self, name: &str) -> Option<PublicDocument> {
        let (content_type, body) = match name {
            "ca.pub" => {
                let line = self.run(|inner, held| inner.authority(held)?.public_line(&inner.comment())).await;
                ("text/plain; charset=utf-8", line.map(|line| format!("{line}\n").into_bytes()))
            }
            "krl" => ("application/octet-stream", self.run(Inner::krl).await),
            _ => return None,
        };
        body.ok().map(|body| PublicDocument { content_type, body })
    }
}

impl Inner {
    fn comment(&self) -> String {
        format!("countersign {}", self.resource)
    }

    fn register(&self) -> Result<Register<Named>, ProviderError> {
        self.folder.read_json(REGISTER)
    }

    /// The authority; the first time it is needed, its key is made.
    fn authority(&self, held: &Lock) -> Result<Authority, ProviderError> {
        if let Some(file) = &self.settings.ca_key_file {
            let found = files::read(file.as_ref()).ok().flatten();
            let pem = found.ok_or_else(|| ProviderError::Permanent("`ssh.ca_key_file` can't be read".into()))?;
            return Authority::from_openssh(&pem)
                .map_err(|why| ProviderError::Permanent(format!("`ssh.ca_key_file` {why}")));
        }
        if let Some(pem) = self.folder.read(CA_KEY)? {
            return Authority::from_openssh(&pem)
                .map_err(|why| ProviderError::Permanent(format!("`{}` {why}", self.folder.shown(CA_KEY))));
        }
        let authority = Authority::new(random::signing_key()?);
        self.folder.write(CA_KEY, authority.to_openssh(&self.comment())?.as_bytes(), held)?;
        Ok(authority)
    }

    /// The revocation list as it stands; an empty one is made if there is none, since sshd lets nobody in while the
    /// file that `RevokedKeys` names is missing.
    fn krl(&self, held: &Lock) -> Result<Vec<u8>, ProviderError> {
        if self.folder.read(KRL)?.is_none() {
            let authority = self.authority(held)?;
            self.publish(held, &authority, self.register()?)?;
        }
        Ok(self.folder.read(KRL)?.unwrap_or_default())
    }

    /// Makes a changed register and the revocation list that follows from it durable, in that order: a list that was
    /// not written comes out the same when the call is repeated.
    fn publish(&self, held: &Lock, ca: &Authority, mut register: Register<Named>) -> Result<(), ProviderError> {
        register.turn_page((self.now)());
        self.folder.write_json(REGISTER, &register, held)?;
        let list = revoked(&register).encode(&ca.public_wire()?, register.edition, (self.now)());
        self.folder.write(KRL, &list, held)
    }

    fn credential(&self, held: &Lock, order: &Order, n: u32) -> Result<Credential, ProviderError> {
        let authority = self.authority(held)?;
        let own = own_key(order)?;
        let made = if own.is_some() { None } else { Some(random::signing_key()?) };
        let subject = own
            .or_else(|| made.as_ref().map(|key| Subject::ours(&key.verifying_key())))
            .ok_or_else(|| ProviderError::Permanent("there is no key to certify".into()))?;
        let public_id = format!("{}:{n}", order.external_id);
        let key_id = format!("{public_id}:{}", fit_for_logs(&order.holder.name));
        let named = match made {
            Some(_) => Named::Fingerprint(subject.fingerprint()),
            None => Named::KeyId(key_id.clone()),
        };

        let end = order.not_after.timestamp();
        let mut register = self.register()?;
        register.cut(order, n, end, named)?;
        // The earlier ones are void before the new one exists.
        self.publish(held, &authority, register)?;

        let start = (self.now)().timestamp().saturating_sub(SLOW_CLOCK_SECS);
        let forced = self.settings.force_end.then(|| session::until(end));
        let certificate = authority.sign(&Statement {
            subject: &subject,
            serial: order.request,
            key_id: &key_id,
            principals: &self.principals,
            valid_after: seconds(start),
            valid_before: seconds(end),
            force_command: forced.as_deref(),
            source_addresses: self.settings.source_addresses.as_deref(),
        })?;
        let private = made.map(|key| authority::private_text(&key, &public_id)).transpose()?;
        Ok(Credential {
            n,
            public_id,
            not_after: DateTime::from_timestamp(end, 0).unwrap_or(order.not_after),
            parts: self.parts(order, &certificate, private),
        })
    }

    /// Where to log in, as words of an ssh command line.
    fn target(&self) -> String {
        let settings = &self.settings;
        let user = settings.user.as_deref().or_else(|| self.principals.first().map(String::as_str)).unwrap_or_default();
        let port = settings.port.map_or_else(String::new, |port| format!("-p {port} "));
        // Without a host in the settings the person has to put one in: a word that a shell takes as it is.
        format!("{port}{}", shell(&format!("{user}@{}", settings.host.as_deref().unwrap_or("HOST"))))
    }

    /// The parts to show: files to save, and the command that uses them.
    fn parts(&self, order: &Order, certificate: &str, private: Option<Zeroizing<String>>) -> Vec<CredentialPart> {
        let file = format!("~/.ssh/{}", order.external_id);
        let target = self.target();
        let mut parts = Vec::new();
        let command = if let Some(private) = private {
            parts.push(CredentialPart {
                label: format!("private key: save it as `{file}`"),
                text: private.as_str().into(),
            });
            format!("chmod 600 {file} && ssh -o IdentitiesOnly=yes -i {file} {target}")
        } else {
            // ssh finds the private half itself, in the agent or among the default names.
            format!("ssh -o CertificateFile={file}-cert.pub {target}")
        };
        parts.push(CredentialPart {
            label: format!("certificate: save it as `{file}-cert.pub`"),
            text: format!("{certificate} {}\n", shell(&self.resource)).into(),
        });
        parts.push(CredentialPart { label: "then run".into(), text: command.into() });
        parts
    }
}

/// Everything the revocation list has to name.
fn revoked(register: &Register<Named>) -> krl::Revoked {
    let mut list = krl::Revoked::default();
    for door in register.doors.values() {
        // The serial covers every certificate of the request, also one the register doesn't know.
        if !door.open {
            list.serials.push(door.request);
        }
        for key in door.keys.iter().filter(|key| key.void) {
            match &key.name {
                Named::KeyId(id) => list.key_ids.push(id.clone()),
                Named::Fingerprint(hash) => {
                    let mut bytes = [0; 32];
                    if hex::decode_to_slice(hash, &mut bytes).is_ok() {
                        list.fingerprints.push(bytes);
                    }
                }
            }
        }
    }
    list
}

/// The first of the holder's own keys.
fn own_key(order: &Order) -> Result<Option<Subject>, ProviderError> {
    let Some(line) = order.holder.ssh_keys.first() else { return Ok(None) };
    let unfit =
        || ProviderError::Permanent("the first of the person's `ssh_keys` is not a key that can be certified".into());
    Subject::from_line(line).map(Some).ok_or_else(unfit)
}

/// A name that can't break a line of sshd's log.
fn fit_for_logs(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-@".contains(c) { c } else { '_' };
    name.chars().map(fit).take(HOLDER_MAX_BYTES).collect()
}

fn seconds(moment: i64) -> u64 {
    u64::try_from(moment).unwrap_or_default()
}
