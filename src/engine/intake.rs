//! What reaches the writer, and what it comes to within a batch.

use tokio::sync::oneshot;

use super::{
    doors::Call,
    follow::Lane,
    ground::blocking,
    job::{Job, Owed},
    writer::{Batch, Room, Writer},
};
use crate::{
    access::{
        self, Action, Answer, Command, Event, Message, Posted, ProviderOutcome, Refusal, RequestId, hear, overhear,
    },
    chat::{Reply, answer},
    provider::Credential,
};

impl Writer {
    pub(super) fn take(&mut self, batch: &mut Batch, job: Job) {
        match job {
            Job::Message { message, reply } => self.message(batch, *message, reply),
            Job::Talk { reply, .. } if self.is_scarce() => drop(reply.send(answer::disk_full())),
            Job::Talk { talk, reply } => {
                batch.text_bytes += talk.text.len();
                for event in overhear(&self.state, batch.moment(), &talk) {
                    self.fold(batch, event);
                }
                batch.owed.push((reply, Owed::Ready(answer::noted())));
            }
            Job::Command(command) => {
                self.command(batch, &command);
            }
            Job::Provider { request, lane, call, attempt, spared, result } => {
                self.provider(batch, (request, &lane), (call, attempt, spared), result);
            }
            Job::Listed(listed) => self.listed(batch, *listed),
            Job::StrayShut { drift, lane, result } => self.stray_shut(batch, (drift, &lane), result),
            Job::Drawn { request, place, card, result } => {
                let later = (self.setup.clock.as_ref(), &self.to_self);
                if let Some(standing) = self.lanes.drawn(request, &place, &card, result, later) {
                    let Posted { chat, channel } = place;
                    self.command(batch, &Command::CardPosted { request, chat, channel, standing });
                }
                batch.touched.insert(request);
            }
            Job::Told { request, notice, to, reached, result } => {
                let later = (self.setup.clock.as_ref(), &self.to_self);
                if self.lanes.told((request, notice, to), reached, result, later) {
                    self.command(batch, &Command::NoticeSent { request, notice, to });
                }
            }
            Job::Redo(request) => {
                batch.touched.insert(request);
            }
            Job::Found { found, reply } => {
                let answer = match found {
                    Ok(request) => answer::one(&self.state, &request),
                    Err(id) => answer::refused(&Refusal::NoRequest(id)),
                };
                batch.owed.push((reply, Owed::Ready(answer)));
            }
            Job::Look(look) => batch.looks.push(look),
            Job::Rest(asked) => self.asked_for_rest.push(asked),
            Job::Posted { bulletin, chat, result } => {
                if let Some(message) =
                    self.posts.posted(bulletin, chat, result, (self.setup.clock.as_ref(), &self.to_self))
                {
                    self.command(batch, &Command::BulletinPosted { bulletin, chat, message });
                }
            }
            // Posting is looked at after each batch.
            Job::Repost => {}
            Job::Load { done, .. } => {
                // It has a batch of its own and never comes here; whoever waits is not to wait for ever.
                let _ = done.send(Err("the rules were not loaded".to_owned()));
            }
            Job::Checked(Ok(())) => self.checked = true,
            Job::Checked(Err(error)) => self.broken = Some(error),
            Job::Stop(done) => self.stopping = Some(done),
        }
    }

    /// Looks how much room there is, where that may block: others write to the disk too, and free it.
    pub(super) async fn look_for_room(&self) {
        let Some(look) = self.ledger.as_ref().and_then(|ledger| ledger.look_for_room()) else { return };
        // If that breaks off, it is as it was before.
        let _ = blocking(self.setup.ground.as_ref(), look).await;
    }

    /// Whether there is hardly room left in the ledger. Said once in the log, each time that it comes to that.
    fn is_scarce(&mut self) -> bool {
        let scarce = self.ledger.as_ref().is_some_and(|ledger| ledger.is_scarce());
        if scarce && self.room == Room::Enough {
            tracing::error!("the disk is full: what is left is kept for break-glass and for what shuts doors");
        }
        self.room = if scarce { Room::Scarce } else { Room::Enough };
        scarce
    }

    fn message(&mut self, batch: &mut Batch, mut message: Message, reply: oneshot::Sender<Reply>) {
        batch.text_bytes += message.text.len() + message.evidence.as_ref().map_or(0, String::len);
        if let Ok(Action::Show { request }) = message.action
            && self.lanes.is_busy(&self.lane_of(request))
        {
            message.action = Err(Refusal::Busy(request));
        }
        let heard = hear(&self.state, batch.moment(), &message);
        let comes_first = message.action.as_ref().is_ok_and(Action::comes_first);
        // What was recorded before is answered as it was.
        if !heard.events.is_empty() && !comes_first && self.is_scarce() {
            // Who has gone away needs no answer.
            return drop(reply.send(answer::disk_full()));
        }
        // Whose entries alone may be read, if not all.
        let read = heard.events.iter().find_map(|event| {
            let Event::LogRead { message, by, whole } = event else { return None };
            Some((*message, (!whole).then_some(*by)))
        });
        for event in heard.events {
            self.fold(batch, event);
        }
        let owed = match heard.answer {
            Answer::Refused(refusal) => Owed::Ready(answer::refused(&refusal)),
            Answer::Again(seen) => Owed::Again(seen),
            Answer::Done(about) => match (message.action, about) {
                (Ok(Action::Log { words }), _) => match read {
                    Some((before, own)) => Owed::Search { words, before, own },
                    None => Owed::Ready(answer::busy()),
                },
                (Ok(Action::Show { .. }), Some(request)) => Owed::Credential { request },
                (Ok(action), about) => Owed::Read { action, about, who: heard.who },
                (Err(refusal), _) => Owed::Ready(answer::refused(&refusal)),
            },
        };
        batch.owed.push((reply, owed));
    }

    fn provider(
        &mut self,
        batch: &mut Batch,
        (request, lane): (RequestId, &Lane),
        (call, attempt, spared): (Call, u32, Option<RequestId>),
        result: Result<Option<Credential>, (access::FailureClass, String)>,
    ) {
        let waiting = self.free(batch, lane);
        batch.touched.insert(request);
        let outcome = |result: &Result<Option<Credential>, (access::FailureClass, String)>| match result {
            Ok(_) => ProviderOutcome::Done,
            Err((class, words)) => ProviderOutcome::Failed { class: *class, words: words.clone() },
        };
        match call {
            Call::Grant => {
                self.command(batch, &Command::Issued { request, attempt, outcome: outcome(&result) });
            }
            Call::Revoke => {
                let outcome = spared.map_or_else(|| outcome(&result), |kept_for| ProviderOutcome::Spared { kept_for });
                self.command(batch, &Command::Closed { request, outcome });
            }
            Call::Credential(n) => self.credential(batch, request, n, result, waiting),
        }
    }

    /// The provider is done on a lane: whatever waited for it may go on. Who waits for its key.
    pub(super) fn free(&mut self, batch: &mut Batch, lane: &Lane) -> Option<oneshot::Sender<Reply>> {
        let (waiting, requests) = self.lanes.free(lane);
        batch.touched.extend(requests);
        waiting
    }

    fn credential(
        &mut self,
        batch: &mut Batch,
        request: RequestId,
        n: u32,
        result: Result<Option<Credential>, (access::FailureClass, String)>,
        waiting: Option<oneshot::Sender<Reply>>,
    ) {
        let result = result.and_then(|credential| {
            credential.ok_or_else(|| (access::FailureClass::Unknown, "the provider made none".to_owned()))
        });
        let outcome = match &result {
            Ok(credential) => Ok((credential.public_id.clone(), credential.not_after)),
            Err(error) => Err(error.clone()),
        };
        let taken = self.command(batch, &Command::CredentialCut { request, n, outcome });
        let Some(waiting) = waiting else { return };
        let owed = match result {
            Ok(credential) if taken => Owed::Cut { request, credential },
            Ok(_) => Owed::Ready(answer::no_credential(request, "the access ended in the meantime")),
            Err((_, words)) => Owed::Ready(answer::no_credential(request, &words)),
        };
        batch.owed.push((waiting, owed));
    }
}
