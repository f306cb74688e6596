//! Between the core's events and the ledger's drafts and entries.

use crate::{
    access::{Event, NotAnEvent, PersonalField, Record, State, Stored, SubjectId},
    ledger::{self, Disclosed, Draft, Entry},
};

/// An event as the ledger takes it.
///
/// # Errors
/// An event that can't be written, which is a fault of ours.
pub fn draft(state: &State, event: &Event) -> Result<Draft, NotAnEvent> {
    let record = event.to_record(|request| state.request(request).map(|request| request.requester))?;
    let disclosures = record
        .personal
        .into_iter()
        .map(|field| ledger::Disclosure {
            subject: ledger::SubjectId(field.subject.0),
            name: field.name,
            value: field.value,
        })
        .collect();
    Ok(Draft { kind: record.kind, body: record.body, disclosures })
}

/// An entry as the core reads it.
///
/// # Errors
/// A kind or a body this program does not know: it never skips one.
pub fn stored(entry: Entry) -> Result<Stored, NotAnEvent> {
    let mut personal = Vec::new();
    let (mut erased, mut locked) = (false, false);
    for disclosed in entry.disclosed {
        match disclosed {
            Disclosed::Open(ledger::Disclosure { subject, name, value }) => {
                personal.push(PersonalField { subject: SubjectId(subject.0), name, value });
            }
            Disclosed::Erased { .. } => erased = true,
            Disclosed::Locked { .. } => locked = true,
        }
    }
    let record = Record { kind: entry.kind, body: entry.body, personal, erased, locked };
    let event = Event::from_record(entry.seq, record, |kind| ledger::kinds::OWN.contains(&kind))?;
    Ok(Stored { seq: entry.seq, time: entry.time, leaf: Some(hex::encode(entry.leaf)), event })
}
