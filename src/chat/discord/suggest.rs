//! What may be chosen while a command is typed: only what the one who types may see anyway.

use super::{
    commands::{DURATION, ID, RESOURCE},
    heard::Options,
    markdown,
    wire::Choice,
};
use crate::{
    access::{Chat, Span},
    chat::{
        Service,
        card::{Card, Status},
    },
};

/// Choices that Discord takes.
const CHOICES_MAX: usize = 25;
/// A choice's name.
const NAME_MAX: usize = 100;
/// Durations that people mean most.
const DURATIONS: [&str; 8] = ["15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d"];

/// A command that is being typed.
pub struct Typing<'a> {
    /// Who types.
    pub account: &'a str,
    /// The subcommand.
    pub word: &'a str,
    /// What is filled in so far.
    pub options: &'a Options,
}

impl Typing<'_> {
    fn so_far(&self, name: &str) -> String {
        self.options.get(name).map(|text| text.trim().to_lowercase()).unwrap_or_default()
    }
}

/// What fits what is typed so far in the option that is being typed.
pub async fn choices(service: &dyn Service, typing: &Typing<'_>, focused: &str) -> Vec<Choice> {
    let mut choices = match focused {
        RESOURCE => resources(service, typing).await,
        DURATION => durations(service, typing).await,
        ID => requests(service, typing).await,
        _ => Vec::new(),
    };
    choices.truncate(CHOICES_MAX);
    choices
}

async fn resources(service: &dyn Service, typing: &Typing<'_>) -> Vec<Choice> {
    let so_far = typing.so_far(RESOURCE);
    let mut offers = service.offers(Chat::Discord, typing.account).await;
    let longest = |offer: &crate::chat::Offer| if typing.word == "break-glass" { offer.glass } else { offer.longest };
    offers.retain(|offer| longest(offer).is_some() || typing.word == "allow");
    offers.retain(|offer| {
        offer.resource.to_lowercase().contains(&so_far) || offer.description.to_lowercase().contains(&so_far)
    });
    // What begins as typed comes first; the rest stays sorted by name.
    offers.sort_by_key(|offer| !offer.resource.to_lowercase().starts_with(&so_far));
    let choice = |offer: crate::chat::Offer| {
        let up_to = longest(&offer).map(|span| format!(", up to {span}")).unwrap_or_default();
        let about = if offer.description.is_empty() { String::new() } else { format!(": {}", offer.description) };
        let name = markdown::bare(&format!("{}{up_to}{about}", offer.resource), NAME_MAX);
        Choice { name, value: offer.resource.into() }
    };
    offers.into_iter().map(choice).collect()
}

async fn durations(service: &dyn Service, typing: &Typing<'_>) -> Vec<Choice> {
    let so_far = typing.so_far(DURATION);
    let resource = typing.so_far(RESOURCE);
    let offers = service.offers(Chat::Discord, typing.account).await;
    let offer = offers.iter().find(|offer| offer.resource.to_lowercase() == resource);
    let most = offer.and_then(|offer| if typing.word == "break-glass" { offer.glass } else { offer.longest });
    let fits = |text: &str| text.parse::<Span>().is_ok_and(|span| most.is_none_or(|most| span <= most));
    let usual = DURATIONS.iter().filter(|text| text.starts_with(&so_far) && fits(text)).map(|text| (*text).to_owned());
    let typed = Some(so_far.clone()).filter(|text| fits(text) && !DURATIONS.contains(&text.as_str()));
    typed.into_iter().chain(usual).map(|text| Choice { name: text.clone(), value: text.into() }).collect()
}

async fn requests(service: &dyn Service, typing: &Typing<'_>) -> Vec<Choice> {
    let so_far = typing.so_far(ID);
    let so_far = so_far.trim_start_matches('#');
    let overview = service.overview(Chat::Discord, typing.account).await;
    let (held, waiting, asked) = (overview.held, overview.waiting, overview.asked);
    let fitting: Vec<Card> = match typing.word {
        "approve" | "deny" => waiting.into_iter().filter(|card| card.status == Status::Requested).collect(),
        "review" => waiting.into_iter().filter(|card| card.status == Status::Owing).collect(),
        "extend" => held.into_iter().filter(|card| card.status == Status::Live).collect(),
        "done" => held,
        "cancel" => asked.into_iter().chain(held.into_iter().filter(|card| card.status == Status::Scheduled)).collect(),
        "revoke" => held,
        _ => waiting.into_iter().chain(asked).chain(held).collect(),
    };
    let fits =
        |card: &Card| card.request.0.to_string().starts_with(so_far) || card.summary.to_lowercase().contains(so_far);
    let choice = |card: &Card| Choice { name: markdown::bare(&card.summary, NAME_MAX), value: card.request.0.into() };
    fitting.iter().filter(|card| fits(card)).map(choice).collect()
}
