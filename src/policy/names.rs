//! How people, groups and resources are called in Cedar.

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use crate::access::Right;

/// The one entity of the type `Log`.
pub const LOG_NAME: &str = "ledger";

/// The types of the schema, parsed once.
#[derive(Debug, Clone)]
pub struct Names {
    principal: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
    log: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    pub fn new() -> Result<Self, String> {
        let of = |name: &str| format!("Countersign::{name}").parse().map_err(|error| format!("{name}: {error}"));
        Ok(Self {
            principal: of("Principal")?,
            group: of("Group")?,
            resource: of("Resource")?,
            log: of("Log")?,
            action: of("Action")?,
        })
    }

    pub fn principal(&self, name: &str) -> EntityUid {
        uid(&self.principal, name)
    }

    pub fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub fn resource(&self, name: &str) -> EntityUid {
        uid(&self.resource, name)
    }

    /// The ledger, and the service as a whole.
    pub fn log(&self) -> EntityUid {
        uid(&self.log, LOG_NAME)
    }

    pub fn action(&self, right: Right) -> EntityUid {
        uid(&self.action, right.word())
    }
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}
