//! The facts as Cedar sees them: entities, built once and read at every question.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use chrono::{Datelike as _, Timelike as _};
use chrono_tz::Tz;
use regex::Regex;

use super::{Facts, Guarded, Who, book::Book};
use crate::access::Question;

/// The entities of a config and of what the sources of groups have said.
#[derive(Debug)]
pub struct World {
    pub entities: Entities,
    /// Who is in which group, right through.
    pub flat: BTreeMap<String, BTreeSet<String>>,
    /// Who is on call.
    pub on_call: BTreeSet<String>,
    people: HashMap<String, EntityUid>,
    resources: HashMap<String, EntityUid>,
}

impl World {
    /// Builds the entities. `known` says who is in the groups that have a source.
    ///
    /// # Errors
    /// Groups that contain each other in a circle; the config refuses them before.
    pub fn build(facts: &Facts, book: &Book, known: &BTreeMap<String, BTreeSet<String>>) -> Result<Self, String> {
        let flat = facts.flat(known);
        let mut entities = group_entities(facts, book);
        let mut direct: BTreeMap<&str, HashSet<EntityUid>> = BTreeMap::new();
        for (name, group) in facts.groups() {
            let members = group.members.iter().filter_map(|who| match who {
                Who::Person(person) => Some(person),
                Who::Group(_) => None,
            });
            for person in members.chain(known.get(name).into_iter().flatten()) {
                direct.entry(person).or_default().insert(book.names.group(name));
            }
        }
        for person in facts.people() {
            let groups = direct.remove(person.as_str()).unwrap_or_default();
            entities.push(Entity::new_no_attrs(book.names.principal(person), groups));
        }
        for guarded in facts.resources().values() {
            entities.push(resource_entity(facts, book, guarded)?);
        }
        entities.push(log_entity(facts, book)?);
        let on_call = facts.groups().iter().filter(|(_, group)| group.on_call);
        let on_call = on_call.filter_map(|(name, _)| flat.get(name)).flatten().cloned().collect();
        Ok(Self {
            entities: Entities::from_entities(entities, None).map_err(|error| error.to_string())?,
            on_call,
            flat,
            people: facts.people().iter().map(|name| (name.clone(), book.names.principal(name))).collect(),
            resources: facts.resources().keys().map(|name| (name.clone(), book.names.resource(name))).collect(),
        })
    }

    /// Only the entities that one question can be about, with two people in these groups: for asking what the answer
    /// would be if a group were different.
    pub fn small(
        facts: &Facts,
        book: &Book,
        people: &[(&str, BTreeSet<&str>)],
        resource: &str,
    ) -> Result<Entities, String> {
        let mut entities = group_entities(facts, book);
        for (name, groups) in people {
            let parents = groups.iter().map(|group| book.names.group(group)).collect();
            entities.push(Entity::new_no_attrs(book.names.principal(name), parents));
        }
        let named = book.named_resources.iter().map(String::as_str).chain([resource]).collect::<BTreeSet<&str>>();
        for guarded in named.into_iter().filter_map(|name| facts.resources().get(name)) {
            entities.push(resource_entity(facts, book, guarded)?);
        }
        entities.push(log_entity(facts, book)?);
        Entities::from_entities(entities, None).map_err(|error| error.to_string())
    }

    pub fn person(&self, name: &str) -> Option<&EntityUid> {
        self.people.get(name)
    }

    pub fn resource(&self, name: &str) -> Option<&EntityUid> {
        self.resources.get(name)
    }
}

fn group_entities(facts: &Facts, book: &Book) -> Vec<Entity> {
    let mut parents: BTreeMap<&str, HashSet<EntityUid>> = BTreeMap::new();
    for (name, group) in facts.groups() {
        for who in &group.members {
            if let Who::Group(inner) = who {
                parents.entry(inner).or_default().insert(book.names.group(name));
            }
        }
    }
    let names = facts.groups().keys();
    names
        .map(|name| Entity::new_no_attrs(book.names.group(name), parents.remove(name.as_str()).unwrap_or_default()))
        .collect()
}

fn who_value(book: &Book, list: &[Who]) -> Result<RestrictedExpression, String> {
    let people = list.iter().filter_map(|who| match who {
        Who::Person(name) => Some(RestrictedExpression::new_entity_uid(book.names.principal(name))),
        Who::Group(_) => None,
    });
    let groups = list.iter().filter_map(|who| match who {
        Who::Group(name) => Some(RestrictedExpression::new_entity_uid(book.names.group(name))),
        Who::Person(_) => None,
    });
    let fields = [
        ("people".to_owned(), RestrictedExpression::new_set(people)),
        ("groups".to_owned(), RestrictedExpression::new_set(groups)),
    ];
    RestrictedExpression::new_record(fields).map_err(|error| error.to_string())
}

fn long(number: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn resource_entity(facts: &Facts, book: &Book, guarded: &Guarded) -> Result<Entity, String> {
    let Guarded { resource, tags, requesters, approvers, escalate_to, revokers, break_glass, reviewers } = guarded;
    let mut attributes = HashMap::from([
        ("name".to_owned(), text(&resource.name)),
        ("provider".to_owned(), text(&resource.target.provider)),
        ("channel".to_owned(), text(&resource.channel)),
        ("tags".to_owned(), RestrictedExpression::new_set(tags.iter().map(|tag| text(tag)))),
        ("quorum".to_owned(), long(u64::from(resource.quorum))),
        ("maxDurationSecs".to_owned(), long(resource.max_duration.secs())),
        ("breakGlassMaxSecs".to_owned(), long(resource.break_glass_max.secs())),
        ("security".to_owned(), who_value(book, facts.security())?),
    ]);
    if let Some(requesters) = requesters {
        attributes.insert("requesters".to_owned(), who_value(book, requesters)?);
    }
    for (name, list) in [
        ("approvers", approvers),
        ("escalateTo", escalate_to),
        ("revokers", revokers),
        ("breakGlass", break_glass),
        ("reviewers", reviewers),
    ] {
        attributes.insert(name.to_owned(), who_value(book, list)?);
    }
    Entity::new(book.names.resource(&resource.name), attributes, HashSet::new()).map_err(|error| error.to_string())
}

fn log_entity(facts: &Facts, book: &Book) -> Result<Entity, String> {
    let attributes = HashMap::from([("security".to_owned(), who_value(book, facts.security())?)]);
    Entity::new(book.names.log(), attributes, HashSet::new()).map_err(|error| error.to_string())
}

/// What a policy may ask of the moment. `on_call` is for who acts and for who asked.
pub fn context(
    question: &Question<'_>,
    zone: Tz,
    ticket: Option<&Regex>,
    requester: EntityUid,
    on_call: (bool, bool),
) -> Result<Context, String> {
    let local = question.now.with_timezone(&zone);
    let (hour, minute) = (u64::from(local.hour()), u64::from(local.minute()));
    let chat = question.chat.map_or("", crate::access::Chat::word);
    let yes = RestrictedExpression::new_bool;
    let mut pairs = vec![
        ("durationSecs".to_owned(), long(question.span.secs())),
        ("hour".to_owned(), long(hour)),
        ("minute".to_owned(), long(minute)),
        ("minutesOfDay".to_owned(), long(hour * 60 + minute)),
        ("weekday".to_owned(), long(u64::from(local.weekday().number_from_monday()))),
        ("reason".to_owned(), text(question.reason)),
        ("chat".to_owned(), text(chat)),
        ("channel".to_owned(), text(question.channel)),
        ("approvals".to_owned(), long(u64::from(question.approvals))),
        ("escalated".to_owned(), yes(question.escalated)),
        ("onCall".to_owned(), yes(on_call.0)),
        ("requesterOnCall".to_owned(), yes(on_call.1)),
        ("requester".to_owned(), RestrictedExpression::new_entity_uid(requester)),
    ];
    if let Some(found) = ticket.and_then(|ticket| ticket.find(question.reason)) {
        pairs.push(("ticket".to_owned(), text(found.as_str())));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}
