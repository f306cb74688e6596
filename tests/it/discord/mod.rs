//! Discord: the true binary against a stand-in, in both modes.

mod bot;
mod check;
mod crossed;
mod evidence;
mod faults;
mod forms;
mod gateway;
mod library;
mod looks;
mod secrets;
pub mod standin;
mod story;

use std::sync::Arc;

use bot::{ANA, BEN, Bot, CLEO, EVE, ROLE, STRANGER, Setting};
use standin::{Manners, Standin, people::People};

use crate::support::process::until;

/// A guild with people in it, the service, and a way between them.
struct Scene {
    standin: Arc<Standin>,
    bot: Bot,
    people: People,
    setting: Setting,
}

impl Scene {
    async fn start(mode: &'static str) -> Self {
        Self::start_with(Setting::new(mode), Manners::default()).await
    }

    async fn start_with(setting: Setting, manners: Manners) -> Self {
        let standin = Standin::start(manners).await;
        {
            let mut world = standin.world();
            for user in [ANA, BEN, CLEO, EVE, STRANGER] {
                world.members.insert(user.to_owned(), Vec::new());
            }
            world.members.insert(CLEO.to_owned(), vec![ROLE.to_owned()]);
        }
        let bot = Bot::start(&standin, &setting);
        let people = People::new(Arc::clone(&standin), bot.way(&setting));
        let scene = Self { standin, bot, people, setting };
        scene.is_there();
        scene
    }

    /// Waits until the commands are registered, and the gateway is there if that is the mode.
    #[track_caller]
    fn is_there(&self) {
        self.until("the commands are registered", || !self.standin.world().commands.is_null());
        if self.setting.mode == "gateway" {
            self.until("the gateway is there", || self.standin.is_connected());
        }
    }

    /// Waits until something is so; says what the service and the stand-in say if it never is.
    #[track_caller]
    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let told = || {
            let world = self.standin.world();
            format!("{what}\n{}\n{:#?}\n{:#?}", self.bot.logged(), world.calls, world.wrong)
        };
        let mut tries = 0;
        tokio::task::block_in_place(|| {
            until("it is so, or it took too long", || {
                tries += 1;
                so() || tries > 800
            });
        });
        assert!(tries <= 800, "never so: {}", told());
    }

    #[track_caller]
    fn until_entry(&self, kind: &str, request: u64) {
        tokio::task::block_in_place(|| self.bot.until(kind, request));
    }

    /// What everybody sees of a request now.
    fn card(&self, request: u64) -> String {
        let card = self.standin.card(standin::CHANNEL, request);
        card.map(|card| card.body["embeds"][0]["description"].as_str().unwrap_or_default().to_owned())
            .unwrap_or_default()
    }

    /// Waits until the card says this.
    #[track_caller]
    fn until_card(&self, request: u64, words: &str) {
        self.until(&format!("the card of {request} says {words:?}: {}", self.card(request)), || {
            self.card(request).contains(words)
        });
    }
}
