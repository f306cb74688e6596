//! What people are shown without having said anything: what they may ask for, and what concerns them. Nothing is decided
//! by it.

use tokio::sync::oneshot;

use super::{Handle, ground::blocking, job::Job};
use crate::{
    access::{Actor, Call, Chat, Phase, Question, Request, RequestId, Right, Span, State},
    chat::{Offer, Overview, card::Card, draw},
};

/// Cards of one sort in an overview.
const SHOWN_MAX: usize = 25;
/// So many of the newest requests are looked at for somebody whom they might wait for.
const CONSIDERED_MAX: usize = 200;

/// A request that may wait for somebody: what the rules want to know of it.
struct Waiting {
    card: Card,
    right: Right,
    resource: String,
    requester: String,
    span: Span,
    reason: String,
    approvals: u32,
    escalated: bool,
}

impl Waiting {
    fn new(state: &State, request: &Request, right: Right) -> Self {
        Self {
            card: draw::card(state, request),
            right,
            resource: request.resource.clone(),
            requester: state.name(request.requester).to_owned(),
            span: request.span,
            reason: request.reason.known().unwrap_or_default().to_owned(),
            approvals: u32::try_from(request.approvals.len()).unwrap_or(u32::MAX),
            escalated: request.was_called(Call::Escalation),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made for this, and what is left of it goes on")]
    fn question<'a>(&'a self, question: Question<'a>) -> Question<'a> {
        Question {
            right: self.right,
            resource: &self.resource,
            requester: &self.requester,
            span: self.span,
            reason: &self.reason,
            approvals: self.approvals,
            escalated: self.escalated,
            ..question
        }
    }
}

impl Handle {
    /// What an account may ask for.
    pub(super) async fn offered(&self, chat: Chat, account: &str) -> Vec<Offer> {
        let errand = self.shared.errand();
        let rules = self.setup.book.rules();
        rules.refresh(self.setup.clock.now()).await;
        let account = account.to_owned();
        let offers = blocking(self.setup.ground.as_ref(), move || {
            let Some(who) = rules.principal(chat, &account) else { return Vec::new() };
            let known = rules.resource_names().into_iter().filter_map(|name| rules.resource(&name));
            let offers = known.map(|resource| {
                let if_might = |right, span| rules.might(right, &who, &resource.name).then_some(span);
                Offer {
                    longest: if_might(Right::Request, resource.max_duration),
                    glass: if_might(Right::BreakGlass, resource.break_glass_max),
                    description: resource.description.clone(),
                    resource: resource.name.clone(),
                }
            });
            offers.filter(|offer| offer.longest.is_some() || offer.glass.is_some()).collect()
        });
        let offers = offers.await.unwrap_or_default();
        drop(errand);
        offers
    }

    /// What concerns the person behind an account.
    pub(super) async fn overviewed(&self, chat: Chat, account: &str) -> Overview {
        let errand = self.shared.errand();
        let rules = self.setup.book.rules();
        let now = self.setup.clock.now();
        rules.refresh(now).await;
        let Some(who) = rules.principal(chat, account) else { return Overview::default() };
        let person = who.clone();
        let Some((mut overview, waiting)) = self.look(move |state| of_state(state, &person)).await else {
            return Overview::default();
        };
        let judged = blocking(self.setup.ground.as_ref(), move || {
            // Only its name and where it is said count here.
            let actor = Actor { subject: crate::access::SubjectId([0; 16]), name: who, chat, channel: String::new() };
            let minute = Span::from_secs(60).ok()?;
            let may = |waiting: &Waiting| {
                rules.might(waiting.right, &actor.name, &waiting.resource)
                    && rules.allows(&waiting.question(Question::of(&actor, waiting.right, "", minute, now)))
            };
            Some(waiting.into_iter().filter(may).map(|waiting| waiting.card).take(SHOWN_MAX).collect())
        });
        overview.waiting = judged.await.flatten().unwrap_or_default();
        drop(errand);
        overview
    }

    /// A request's card.
    pub(super) async fn card_of(&self, chat: Chat, account: &str, request: RequestId) -> Option<Card> {
        self.setup.book.rules().principal(chat, account)?;
        self.look(move |state| state.request(request).map(|request| draw::card(state, request))).await.flatten()
    }

    /// Looks at the state, once all that is in it is on the disk. `None` if that can't be.
    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + Sync + 'static) -> Option<T> {
        let (seen, answer) = oneshot::channel();
        let job = Job::Look(Box::new(move |state| {
            // Whoever has gone away needs no answer.
            let _ = seen.send(look(state));
        }));
        self.jobs.try_send(job).ok()?;
        answer.await.ok()
    }
}

/// What is somebody's own, and what might wait for them.
fn of_state(state: &State, who: &str) -> (Overview, Vec<Waiting>) {
    let mut overview = Overview::default();
    let mut waiting = Vec::new();
    let me = state.subject(who);
    let mut open: Vec<&Request> = state.open().collect();
    open.sort_unstable_by_key(|request| std::cmp::Reverse(request.id));
    for request in open {
        let mine = me == Some(request.requester);
        let pending = request.phase == Phase::Pending;
        let shelf = if pending { &mut overview.asked } else { &mut overview.held };
        if mine && !request.phase.finished() && shelf.len() < SHOWN_MAX {
            shelf.push(draw::card(state, request));
        }
        let signed = request.approvals.iter().any(|decision| me == Some(decision.by));
        if mine || signed || waiting.len() >= CONSIDERED_MAX {
            continue;
        }
        if pending {
            waiting.push(Waiting::new(state, request, Right::Approve));
        } else if request.owes_review() {
            waiting.push(Waiting::new(state, request, Right::Review));
        }
    }
    (overview, waiting)
}
