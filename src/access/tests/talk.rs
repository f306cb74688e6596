//! What is said below a card is recorded with its request, bounded, once, and decides nothing.

use insta::assert_snapshot as is;

use super::*;

pub fn talk(card: &str, who: &str, message: &str, turn: Turn) -> Talk {
    let key = format!("{who}-{message}-{turn:?}");
    let of = (turn != Turn::Said).then(|| format!("{who}-{message}-Said"));
    let text = if turn == Turn::Deleted { String::new() } else { format!("words of {who}") };
    Talk { chat: Chat::Slack, account: who.into(), card: card.into(), key, of, turn, text }
}

impl World {
    /// The request's card stands in the channel, as this message.
    pub fn posts(&mut self, request: RequestId, message: &str) {
        let standing = Standing { message: message.into(), told: 0 };
        self.command(&Command::CardPosted { request, chat: Chat::Slack, channel: "approvals".into(), standing });
    }

    /// What is recorded of it, a line each.
    pub fn overhears(&mut self, talk: &Talk) -> String {
        let events = overhear(&self.state, self.moment(), talk);
        self.append(events.clone());
        let said = events.iter().filter(|event| matches!(event, Event::MessageReceived { .. })).map(|event| {
            let record = event.to_record(|_| None).unwrap();
            let mut body: std::collections::BTreeMap<_, _> = record.body.into_iter().collect();
            body.remove("from");
            serde_json::to_string(&body).unwrap()
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "nothing".into() } else { said.join("\n") }
    }
}

#[test]
fn it_is_recorded_with_the_request_whose_card_it_stands_below() {
    let mut world = World::new();
    let id = world.asked();
    assert_eq!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Said)), "nothing", "no card stands there yet");
    world.posts(id, "C:1");
    is!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Said)), @r#"{"chat":"slack","key":"T/ana-1-Said","thread":{"request":3,"turn":"said"},"via":"thread"}"#);
    assert_eq!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Said)), "nothing", "it was delivered before");
    assert_eq!(world.overhears(&talk("C:2", "T/ana", "2", Turn::Said)), "nothing", "that is another thread");
    let elsewhere = Talk { chat: Chat::Discord, ..talk("C:1", "G/ana", "2", Turn::Said) };
    assert_eq!(world.overhears(&elsewhere), "nothing", "that is another platform");
    is!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Changed)), @r#"{"chat":"slack","key":"T/ana-1-Changed","thread":{"request":3,"turn":"changed","earlier":5},"via":"thread"}"#);
    is!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Deleted)), @r#"{"chat":"slack","key":"T/ana-1-Deleted","thread":{"request":3,"turn":"deleted","earlier":5},"via":"thread"}"#);
    assert_eq!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Deleted)), "nothing");
    // What was not recorded may be changed, which is recorded, and deleted, which is no news.
    is!(world.overhears(&talk("C:1", "T/bea", "9", Turn::Changed)), @r#"{"chat":"slack","key":"T/bea-9-Changed","thread":{"request":3,"turn":"changed"},"via":"thread"}"#);
    assert_eq!(world.overhears(&talk("C:1", "T/bea", "9", Turn::Deleted)), "nothing");
    // Somebody of no config is an account.
    world.overhears(&talk("C:1", "T/zoe", "1", Turn::Said));
    let request = world.state.request(id).unwrap();
    let said: Vec<_> = request.talk.iter().map(|one| (world.state.name(one.from), one.turn, one.text.text())).collect();
    assert_eq!(said[0], ("ana", Turn::Said, "words of T/ana"));
    assert_eq!(said.last().unwrap(), &("slack:T/zoe", Turn::Said, "words of T/zoe"));
    assert_eq!(world.phase(id), &Phase::Pending);
    assert_eq!(request.history.len(), 1, "the card has no word of it");
    properties::check(&world);
}

#[test]
fn it_goes_on_when_the_request_is_over_and_where_its_card_is_posted_anew() {
    let mut world = World::new();
    let id = world.live();
    world.posts(id, "C:1");
    world.posts(id, "C:2");
    assert_eq!(world.overhears(&talk("C:1", "T/ana", "1", Turn::Said)), "nothing", "that card is gone");
    assert_ne!(world.overhears(&talk("C:2", "T/ana", "1", Turn::Said)), "nothing");
    world.says("ana", Action::Done { request: id });
    world.command(&closed(id));
    assert!(world.state.request(id).unwrap().over());
    assert_ne!(world.overhears(&talk("C:2", "T/bea", "2", Turn::Said)), "nothing");
    properties::check(&world);
}

#[test]
fn a_flood_ends_at_its_limits_and_the_last_one_says_so() {
    let mut world = World::new();
    let id = world.asked();
    world.posts(id, "C:1");
    let flood = |world: &mut World, who: &str| -> usize {
        let said = (0..3 * TALK_EACH_MAX).map(|n| world.overhears(&talk("C:1", who, &n.to_string(), Turn::Said)));
        let recorded: Vec<String> = said.filter(|said| said != "nothing").collect();
        let last: Vec<usize> = (0..recorded.len()).filter(|at| recorded[*at].contains(r#""last":true"#)).collect();
        assert_eq!(last, recorded.len().checked_sub(1).into_iter().collect::<Vec<_>>(), "{who}");
        recorded.len()
    };
    assert_eq!(flood(&mut world, "T/zoe"), TALK_EACH_MAX);
    // Nobody else is kept from talking by it, and what is gone is still told.
    assert_eq!(flood(&mut world, "T/ana"), TALK_EACH_MAX);
    assert_ne!(world.overhears(&talk("C:1", "T/zoe", "7", Turn::Deleted)), "nothing");
    for who in ["T/bea", "T/cas", "T/dan"] {
        assert_eq!(flood(&mut world, who), TALK_EACH_MAX);
    }
    assert_eq!(flood(&mut world, "T/eve"), 0, "{TALK_MAX} of everybody are all there are");
    properties::check(&world);
}

#[test]
fn whoever_is_erased_has_said_nothing_that_can_be_read() {
    let mut world = World::new();
    let id = world.asked();
    world.posts(id, "C:1");
    world.overhears(&talk("C:1", "T/bea", "1", Turn::Said));
    world.overhears(&talk("C:1", "T/ana", "1", Turn::Said));
    let subject = world.state.subject("bea").unwrap();
    world.append(vec![Event::SubjectErased { subject }]);
    let texts: Vec<_> = world.state.request(id).unwrap().talk.iter().map(|one| one.text.text().to_owned()).collect();
    assert_eq!(texts, ["(erased)", "words of T/ana"]);
    // Whoever comes again is somebody else, and is heard.
    assert_ne!(world.overhears(&talk("C:1", "T/bea", "2", Turn::Said)), "nothing");
}
