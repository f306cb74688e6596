//! Worlds with a fault planted, which the predicates have to find: a simulation that can't fail shows nothing.

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The rules let anybody approve anything.
    AnybodyApproves,
    /// One person counts as two, one for each chat.
    TwoNamesForOnePerson,
    /// The ledger says that a batch is durable, and it never is.
    LosesAnAcknowledgedWrite,
    /// The ledger says that a batch is durable before it is.
    AcknowledgesTooEarly,
    /// An entry is gone when the ledger is opened again.
    LosesAnEntry,
    /// Doors are said to be shut, are listed as if they were, and stay open.
    LyingDoors,
    /// What should not be on a target is never listed.
    HiddenStrays,
    /// The platform gives a click that it delivers again another id.
    DeliversAgainUnderAnotherId,
    /// A provider says in a failure what nobody may read.
    TalkativeProvider,
    /// People are told that it is done as soon as they have sent it.
    AnswersEarly,
    /// An answer goes to somebody else.
    AnswersSomebodyElse,
    /// A card is drawn, and another one shown.
    ShowsOldCards,
}
