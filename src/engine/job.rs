//! What reaches the one writer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{doors::Call, follow::Lane, rulebook::Book, sweep::Listed};
use crate::{
    access::{
        Action, Chat, Command, FailureClass, Message, Notice, Posted, Request, RequestId, Standing, State, SubjectId,
        Talk,
    },
    chat::{ChatError, Reply, card::Card},
    ledger::OpenError,
    provider::Credential,
};

/// Something to do for the writer.
pub enum Job {
    /// Somebody said or pressed something.
    Message {
        /// What.
        message: Box<Message>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// Something was said in a thread.
    Talk {
        /// What.
        talk: Box<Talk>,
        /// Where it goes that it is recorded.
        reply: oneshot::Sender<Reply>,
    },
    /// Something that needs no answer.
    Command(Command),
    /// A provider answered.
    Provider {
        /// For which request.
        request: RequestId,
        /// On which lane.
        lane: Lane,
        /// What it was called for.
        call: Call,
        /// Which order it answers, for [`Call::Grant`].
        attempt: u32,
        /// Nobody was called, because this grant needs what was to be shut.
        spared: Option<RequestId>,
        /// What it said.
        result: Result<Option<Credential>, (FailureClass, String)>,
    },
    /// A target was listed, or not.
    Listed(Box<Listed>),
    /// Something extra was removed from a target, or not.
    StrayShut {
        /// The entry that says it was found.
        drift: u64,
        /// On which lane.
        lane: Lane,
        /// What the provider said.
        result: Result<(), (FailureClass, String)>,
    },
    /// A card was drawn, or not.
    Drawn {
        /// Whose card.
        request: RequestId,
        /// Where.
        place: Posted,
        /// What was drawn.
        card: Box<Card>,
        /// What stands there.
        result: Result<Standing, ChatError>,
    },
    /// A notice was sent, or not.
    Told {
        /// About which request.
        request: RequestId,
        /// What.
        notice: Notice,
        /// Whom.
        to: SubjectId,
        /// On which platforms it got through.
        reached: Vec<Chat>,
        /// Why not on another.
        result: Result<(), ChatError>,
    },
    /// A bulletin was posted, or not.
    Posted {
        /// The entry it tells about.
        bulletin: u64,
        /// On which platform.
        chat: Chat,
        /// The platform's id of the message.
        result: Result<String, ChatError>,
    },
    /// A bulletin that could not be posted is due again.
    Repost,
    /// Other rules are to hold.
    Load {
        /// The rules.
        book: Arc<Book>,
        /// Where the entry's index goes, or why there is none.
        done: Loaded,
    },
    /// A card or a notice that could not be posted is due again.
    Redo(RequestId),
    /// A request that is finished for long was looked up in the ledger.
    Found {
        /// It, if there is such a request.
        found: Result<Box<Request>, RequestId>,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// To look at the state, once all that is in it is on the disk.
    Look(Look),
    /// To be told when nothing is queued and nothing is due, and how much is under way outside by then.
    Rest(oneshot::Sender<usize>),
    /// The history before the snapshot was checked.
    Checked(Result<(), OpenError>),
    /// Finish what is queued, and stop.
    Stop(oneshot::Sender<()>),
}

/// A look at the state. It is dropped unused if the ledger can't be written.
pub type Look = Box<dyn FnOnce(&State) + Send + Sync>;

/// Who waits for other rules to hold.
pub type Loaded = oneshot::Sender<Result<u64, String>>;

/// An answer that is owed, once the batch is on the disk.
pub enum Owed {
    /// A finished answer.
    Ready(Reply),
    /// To be read from the state after the batch.
    Read {
        /// What was asked or done.
        action: Action,
        /// Which request it is about.
        about: Option<RequestId>,
        /// Who asks.
        who: Option<String>,
    },
    /// What is found in the ledger.
    Search {
        /// For these words.
        words: Vec<String>,
        /// Before this entry, which is the search itself.
        before: u64,
        /// Whose entries alone, if not all.
        own: Option<SubjectId>,
    },
    /// What was said when the message came first.
    Again(crate::access::Seen),
    /// The key that a provider is about to cut.
    Credential {
        /// For which request.
        request: RequestId,
    },
    /// The key that a provider has cut, if the ledger took it.
    Cut {
        /// For which request.
        request: RequestId,
        /// The key.
        credential: Credential,
    },
}
