//! `exec`: a program of the operator's that speaks `countersign.provider/v1`, started anew for each question.
//!
//! Its file is pinned by SHA-256 and looked at before each start. What is started is not the file but a sealed copy of
//! the very bytes that were hashed, so that nobody can put others in between. A program that has granted something is kept,
//! so that another version of its file doesn't strand the doors that this one has opened. It gets an environment of
//! its own, a folder of its own to run in, the question and its secrets on standard input, and a deadline:
//! at the deadline it and all that it started are told to end, and two seconds later they are ended. When it has ended
//! by itself, what it left behind in its process group is ended too. (A process that makes itself a session of
//! its own gets away: a service manager's control group holds those.)

#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod host;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod host;
mod pinned;
mod run;
mod settings;

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    ProviderError, Surroundings, blocking,
    files::Folder,
    plugin::{Heard, Lost, Message, Plugin, Reach, Sources, Transport},
    protocol::Verb,
};
use run::{Start, Started};
use settings::ExecSettings;
pub(super) use settings::read;

/// The provider's name in the config.
pub(super) const NAME: &str = "exec";
/// So many processes of one resource at once; the others wait for their turn.
const AT_ONCE_MAX: usize = 8;
/// Where a plugin finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pinned program.
struct Program {
    file: PathBuf,
    arguments: Vec<String>,
    pin: [u8; 32],
    folder: Folder,
    env: BTreeMap<String, SecretString>,
    new_privileges: bool,
    places: Semaphore,
}

/// The provider.
pub(super) fn plugin(resource: &str, settings: ExecSettings, surroundings: &Surroundings) -> Plugin {
    let ExecSettings { file, arguments, pin, env, new_privileges, common, sources } = settings;
    let passed = |name: String| Some((name.clone(), surroundings.env.get(&name)?.clone()));
    let program = Program {
        file: file.into(),
        arguments,
        pin,
        folder: Folder::new(&surroundings.dir, resource),
        env: env.into_iter().filter_map(passed).collect(),
        new_privileges,
        places: Semaphore::new(AT_ONCE_MAX),
    };
    let sources = Sources::new(sources, Arc::clone(&surroundings.env));
    Plugin::new((NAME, resource), common, sources, Arc::new(program), Arc::clone(&surroundings.now))
}

#[async_trait]
impl Transport for Program {
    fn reach(&self) -> Reach {
        Reach::Process
    }

    async fn exchange(&self, message: &Message) -> Result<Heard, Lost> {
        let deadline = Instant::now() + message.limit;
        let busy = || ProviderError::Retry(format!("more than {AT_ONCE_MAX} of it run at once"));
        let place = tokio::time::timeout_at(deadline, self.places.acquire()).await;
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let started = self.start(message.verb, message.limit).await?;
        started.converse(&message.line, deadline, message.limit).await
    }

    async fn lacking(&self) -> Vec<String> {
        let file = self.file.clone();
        let mode = blocking(move || Ok(std::fs::metadata(file).map(|about| about.permissions().mode()))).await;
        match mode {
            Ok(Ok(mode)) if mode & 0o002 != 0 => {
                vec![format!("everybody may write {}: run `chmod o-w` on it", self.file.display())]
            }
            Ok(_) | Err(_) => Vec::new(),
        }
    }
}

impl Program {
    async fn start(&self, verb: Verb, limit: Duration) -> Result<Started, ProviderError> {
        let mut env: Vec<(String, SecretString)> = vec![("PATH".into(), PATH.to_owned().into())];
        env.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let start = Start {
            file: self.file.clone(),
            arguments: self.arguments.clone(),
            pin: self.pin,
            verb,
            folder: self.folder.clone(),
            env: env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect(),
            new_privileges: self.new_privileges,
            limit,
        };
        blocking(move || start.start()).await
    }
}
