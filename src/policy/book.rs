//! The policies: read, named, checked against the schema, and sorted by what they are about.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint, Schema,
    ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use super::{
    Facts,
    names::{LOG_NAME, Names},
    sense,
};
use crate::access::Right;

/// The schema that every policy is held against, in Cedar's own syntax.
pub const SCHEMA: &str = include_str!("countersign.cedarschema");
/// The policies that are always in force: what the lists of `resources.toml` mean.
pub const SHIPPED: &str = include_str!("shipped.cedar");
/// More policies than this are refused: every one of them is asked at every click.
pub const POLICIES_MAX: usize = 500;

/// Something about the policies that their author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where, a byte offset into the text.
    pub offset: usize,
    /// What: lower case, no full stop.
    pub words: String,
    /// What would mend it.
    pub hint: Option<String>,
    /// Whether the policies can be used all the same.
    pub warning: bool,
}

/// What is known of one policy without asking it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) effect: Effect,
    /// The people it names, anywhere in it.
    pub(super) people: BTreeSet<String>,
    /// The groups it names, anywhere in it.
    pub(super) groups: BTreeSet<String>,
    /// The resources it names, anywhere in it.
    pub(super) resources: BTreeSet<String>,
    pub(super) scope: Scope,
    pub(super) rights: Vec<Right>,
    /// The only resource it can be about, if its scope names one.
    pub(super) only_resource: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) advice: Option<String>,
    pub(super) shipped: bool,
    /// Its text, for comparing two rule sets.
    pub(super) text: String,
}

/// Whom a policy can be about, by its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Anybody,
    Person(String),
    Group(String),
}

/// The shipped policies and those of `policy.cedar`, ready to be asked.
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) known: BTreeMap<String, Known>,
    /// For each right the policies that can say something about it.
    sets: BTreeMap<Right, PolicySet>,
    /// Resources that some policy names: their attributes may be read although they are not the one that is asked about.
    pub(super) named_resources: BTreeSet<String>,
    actions: BTreeMap<Right, EntityUid>,
    pub(super) names: Names,
}

/// A text of policies, with the names that its author gave them.
struct Named {
    policies: Vec<(Policy, usize)>,
    remarks: Vec<Remark>,
    parsed: bool,
}

/// What came of reading `policy.cedar`.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The policies, if they can be used.
    pub book: Option<Book>,
    /// The same with their mistakes, for looking at them only; `None` where they can't even be parsed.
    pub draft: Option<Book>,
    /// Mistakes and warnings, in the order of the text.
    pub remarks: Vec<Remark>,
}

impl Book {
    /// Reads `policy.cedar`; the shipped policies are added. `facts` are for the names that policies use; without them
    /// no name is missed.
    #[must_use]
    pub fn read(text: &str, facts: Option<&Facts>) -> Reading {
        let fault = |words: String| Remark { offset: 0, words, hint: None, warning: false };
        let (schema, shipped) = match shipped() {
            Ok(shipped) => shipped,
            Err(words) => return Reading { book: None, draft: None, remarks: vec![fault(words)] },
        };
        let Named { policies, mut remarks, parsed } = named(text, &shipped);
        if policies.len() > POLICIES_MAX {
            let words = format!("{} policies are more than there may be ({POLICIES_MAX})", policies.len());
            return Reading { book: None, draft: None, remarks: vec![fault(words)] };
        }
        let own = PolicySet::from_policies(policies.iter().map(|(policy, _)| policy.clone()));
        let starts: BTreeMap<String, usize> =
            policies.iter().map(|(policy, offset)| (policy.id().to_string(), *offset)).collect();
        match own {
            Ok(own) => remarks.extend(validated(schema, &own, &starts)),
            Err(error) => remarks.push(fault(error.to_string())),
        }
        for (policy, offset) in &policies {
            remarks.extend(facts.into_iter().flat_map(|facts| missing(policy, *offset, text, facts)));
            remarks.extend(personal(policy, *offset, text));
            remarks.extend(sense::doubts(policy, *offset, text, facts));
        }
        let shipped = shipped.into_iter().map(|policy| (policy, true));
        let all = shipped.chain(policies.into_iter().map(|(policy, _)| (policy, false)));
        let known = all.map(|(policy, shipped)| (policy.id().to_string(), (Known::of(&policy, shipped), policy)));
        let draft = match Self::sorted(known.collect()) {
            Ok(book) => Some(book),
            Err(words) => {
                remarks.push(fault(words));
                None
            }
        };
        remarks.sort_by(|a, b| (a.offset, &a.words).cmp(&(b.offset, &b.words)));
        remarks.dedup();
        let sound = remarks.iter().all(|remark| remark.warning);
        Reading { book: draft.clone().filter(|_| sound), draft: draft.filter(|_| parsed), remarks }
    }

    fn sorted(policies: BTreeMap<String, (Known, Policy)>) -> Result<Self, String> {
        let names = Names::new()?;
        let mut sets = BTreeMap::new();
        let mut actions = BTreeMap::new();
        for right in Right::ALL {
            let about = policies.values().filter(|(known, _)| known.rights.contains(&right));
            let set = PolicySet::from_policies(about.map(|(_, policy)| policy.clone())).map_err(|e| e.to_string())?;
            sets.insert(right, set);
            actions.insert(right, names.action(right));
        }
        let named_resources = policies.values().flat_map(|(known, _)| known.resources.clone()).collect();
        let known = policies.into_iter().map(|(id, (known, _))| (id, known)).collect();
        Ok(Self { known, sets, named_resources, actions, names })
    }

    /// The policies that can say something about a right.
    pub(super) fn about(&self, right: Right) -> Option<(&PolicySet, &EntityUid)> {
        Some((self.sets.get(&right)?, self.actions.get(&right)?))
    }

    /// What is known of the policies that can say something about a right.
    pub(super) fn known_about(&self, right: Right) -> impl Iterator<Item = (&String, &Known)> {
        self.known.iter().filter(move |(_, known)| known.rights.contains(&right))
    }

    /// The ids of all policies, sorted; those of `policy.cedar` only, if asked.
    pub fn ids(&self, own_only: bool) -> Vec<String> {
        self.known.iter().filter(|(_, known)| !own_only || !known.shipped).map(|(id, _)| id.clone()).collect()
    }
}

impl Known {
    fn of(policy: &Policy, shipped: bool) -> Self {
        let literals = policy.entity_literals();
        let of_type = |name: &str| {
            let of = literals.iter().filter(|uid| uid.type_name().basename() == name);
            of.map(|uid| uid.id().unescaped().to_owned()).collect::<BTreeSet<String>>()
        };
        let scope = |uid: &EntityUid| match uid.type_name().basename() {
            "Group" => Scope::Group(uid.id().unescaped().to_owned()),
            _ => Scope::Person(uid.id().unescaped().to_owned()),
        };
        let rights = Right::ALL.into_iter().filter(|right| match policy.action_constraint() {
            // What permits everything was not written to let people in by themselves: that has to be said by its name.
            ActionConstraint::Any => policy.effect() == Effect::Forbid || *right != Right::AutoApprove,
            ActionConstraint::Eq(uid) => uid.id().unescaped() == right.word(),
            ActionConstraint::In(uids) => uids.iter().any(|uid| uid.id().unescaped() == right.word()),
        });
        Self {
            effect: policy.effect(),
            people: of_type("Principal"),
            groups: of_type("Group"),
            resources: of_type("Resource"),
            scope: match policy.principal_constraint() {
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Scope::Anybody,
                PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => {
                    scope(&uid)
                }
            },
            rights: rights.collect(),
            only_resource: match policy.resource_constraint() {
                ResourceConstraint::Eq(uid) => Some(uid.id().unescaped().to_owned()),
                ResourceConstraint::Any
                | ResourceConstraint::In(_)
                | ResourceConstraint::Is(_)
                | ResourceConstraint::IsIn(..) => None,
            },
            reason: policy.annotation("reason").map(str::to_owned),
            advice: policy.annotation("advice").map(str::to_owned),
            shipped,
            text: policy.to_string(),
        }
    }
}

/// The schema, and the shipped policies under their own ids.
fn shipped() -> Result<(Schema, Vec<Policy>), String> {
    let broken = |what: &str, why: &dyn std::fmt::Display| format!("the shipped {what} can't be read: {why}");
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| broken("schema", &error))?;
    let set: PolicySet = SHIPPED.parse().map_err(|error| broken("policies", &error))?;
    let policies = set.policies().map(|policy| {
        let id = policy.annotation("id").ok_or_else(|| broken("policies", &"one has no id"))?;
        Ok(policy.new_id(PolicyId::new(id)))
    });
    Ok((schema, policies.collect::<Result<Vec<_>, String>>()?))
}

/// Where a policy or a template starts in its text. A macro, because the type of a place is another crate's.
macro_rules! start {
    ($of:expr) => {
        match $of.as_ref().loc() {
            Some(place) => place.start(),
            None => 0,
        }
    };
}

/// Reads a text, and gives every policy the id that its author gave it.
fn named(text: &str, shipped: &[Policy]) -> Named {
    let set = match text.parse::<PolicySet>() {
        Ok(set) => set,
        Err(errors) => {
            let remarks = errors.iter().map(|error| remark(error, text, 0, false)).collect();
            return Named { policies: Vec::new(), remarks, parsed: false };
        }
    };
    let mut remarks = Vec::new();
    for template in set.templates() {
        let offset = start!(template);
        let words = "a template (`?principal`, `?resource`) is nothing that anybody links here";
        let hint = Some("name a person, a group or a resource in its place".to_owned());
        remarks.push(Remark { offset, words: words.into(), hint, warning: false });
    }
    let mut placed: Vec<(&Policy, usize)> = set.policies().map(|policy| (policy, start!(policy))).collect();
    placed.sort_by_key(|(_, offset)| *offset);
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut policies = Vec::new();
    for (policy, offset) in placed {
        let mut wrong = |words: String, hint: &str| {
            remarks.push(Remark { offset, words, hint: Some(hint.into()), warning: false });
        };
        match policy.annotation("id").map(str::trim) {
            None | Some("") => wrong(
                "a policy without an id".into(),
                "write `@id(\"…\")` before it: the id is what refusals, cards and the ledger call it",
            ),
            Some(id) if !is_id(id) => wrong(
                format!("{id:?} is no id"),
                "an id is letters, digits, `.`, `_` and `-`, at most 64, for example `@id(\"no-nights\")`",
            ),
            Some(id) if shipped.iter().any(|policy| policy.id().to_string() == id) => {
                wrong(format!("`{id}` is the id of a policy that is always there"), "choose another id");
            }
            Some(id) if !taken.insert(id) => wrong(format!("there are two policies called `{id}`"), "rename one"),
            Some(id) => policies.push((policy.new_id(PolicyId::new(id)), offset)),
        }
    }
    Named { policies, remarks, parsed: true }
}

fn is_id(text: &str) -> bool {
    const ID_BYTES_MAX: usize = 64;
    text.len() <= ID_BYTES_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What the validator says of the policies.
fn validated(schema: Schema, policies: &PolicySet, starts: &BTreeMap<String, usize>) -> Vec<Remark> {
    let result = Validator::new(schema).validate(policies, ValidationMode::Strict);
    let start = |id: &PolicyId| starts.get(&id.to_string()).copied().unwrap_or_default();
    let mut remarks: Vec<Remark> = result
        .validation_errors()
        .map(|error| about(error.policy_id(), remark(error, "", start(error.policy_id()), false)))
        .collect();
    let mut impossible: BTreeSet<&PolicyId> = result.validation_errors().map(ValidationError::policy_id).collect();
    for warning in result.validation_warnings() {
        let id = warning.policy_id();
        // A policy that has an error has no need of a warning that follows from it, and can be impossible only once.
        if impossible.contains(id) {
            continue;
        }
        let mut remark = about(id, remark(warning, "", start(id), true));
        if let ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) = warning {
            impossible.insert(id);
            remark.offset = start(id);
            remark.words = format!("policy `{id}` can never apply: it is false whoever asks for what");
            remark.hint = Some("mend its conditions, or take it out".into());
        }
        remarks.push(remark);
    }
    remarks
}

/// The same with the policy named once, in front.
fn about(id: &PolicyId, mut remark: Remark) -> Remark {
    let named = format!("for policy `{id}`, ");
    remark.words = format!("policy `{id}`: {}", remark.words.replace(&named, ""));
    remark.hint = remark.hint.map(|hint| hint.replace(&named, ""));
    remark
}

/// Cedar's words in our look: the place of the first label, no capital, no full stop.
fn remark(diagnostic: &dyn Diagnostic, text: &str, start: usize, warning: bool) -> Remark {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map_or(start, miette::LabeledSpan::offset);
    let mut words = diagnostic.to_string();
    if let Some(detail) = label.as_ref().and_then(|label| label.label())
        && !detail.is_empty()
        && !words.contains(detail)
    {
        words = format!("{words}: {detail}");
    }
    // At the end of a text the parser points behind it.
    let offset = if text.is_empty() { offset } else { offset.min(text.trim_end().len()) };
    Remark { offset, words, hint: diagnostic.help().map(|help| help.to_string()), warning }
}

/// Names in a policy that the config doesn't know: such a policy can never apply to them.
fn missing(policy: &Policy, start: usize, text: &str, facts: &Facts) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let uids: BTreeSet<EntityUid> = policy.entity_literals().into_iter().collect();
    for uid in uids {
        let name = uid.id().unescaped();
        let (what, known): (&str, Vec<&str>) = match uid.type_name().basename() {
            "Principal" => ("person", facts.people().iter().map(String::as_str).collect()),
            "Group" => ("group", facts.groups().keys().map(String::as_str).collect()),
            "Resource" => ("resource", facts.resources().keys().map(String::as_str).collect()),
            "Log" => ("log", vec![LOG_NAME]),
            _ => continue,
        };
        if known.contains(&name) {
            continue;
        }
        let near = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, name), *known))
            .filter(|(distance, known)| *distance <= known.chars().count() / 3 + 1)
            .min();
        let hint = near.map_or_else(
            || "a policy about what is not there can never apply".to_owned(),
            |(_, near)| format!("did you mean `{near}`?"),
        );
        let words = format!("policy `{}`: there is no {what} `{name}`", policy.id());
        remarks.push(Remark { offset: literal(text, start, &uid), words, hint: Some(hint), warning: false });
    }
    remarks
}

/// A rule that approves by itself and names a person approves nothing for that person.
fn personal(policy: &Policy, start: usize, text: &str) -> Vec<Remark> {
    let known = Known::of(policy, false);
    if known.effect != Effect::Permit || known.people.is_empty() || !known.rights.contains(&Right::AutoApprove) {
        return Vec::new();
    }
    let first = policy.entity_literals().into_iter().find(|uid| uid.type_name().basename() == "Principal");
    let names: Vec<String> = known.people.iter().map(|name| format!("`{name}`")).collect();
    vec![Remark {
        offset: first.map_or(start, |uid| literal(text, start, &uid)),
        words: format!(
            "policy `{}` approves by itself and names {}: it counts for nobody whom it names",
            policy.id(),
            names.join(", ")
        ),
        hint: Some("name a group, or say which requests are harmless; a person needs another person's approval".into()),
        warning: true,
    }]
}

/// Where an entity stands in a policy.
fn literal(text: &str, start: usize, uid: &EntityUid) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    rest.find(&uid.to_string()).map_or(start, |at| start + at)
}
