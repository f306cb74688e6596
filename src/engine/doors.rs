//! The providers' instances, opened when first needed and kept by target.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::clock::Pause;
use crate::{
    access::{FailureClass, Request, RequestId, State, Target},
    provider::{self, Credential, Holder, Item, Order, Provider, ProviderError, Surroundings},
};

/// A provider that has not answered by then has given no answer: what it did is unknown.
pub const PROVIDER_DEADLINE: Duration = Duration::from_secs(30);

/// A plan has so many lines at the most.
const PLAN_LINES_MAX: usize = 10;
/// And each of them so many characters.
const PLAN_LINE_CHARS_MAX: usize = 300;
/// What a provider says of a failure is kept up to so many characters.
const WORDS_CHARS_MAX: usize = 1_000;

/// Who a person is to providers, by principal name.
pub type HolderOf = Arc<dyn Fn(&str) -> Holder + Send + Sync>;

/// Opens the provider of a target: its name, the resource's name, the target's settings.
pub type Opener =
    Arc<dyn Fn(&str, &str, &provider::Settings) -> Result<Arc<dyn Provider>, ProviderError> + Send + Sync>;

/// All doors.
pub struct Doors {
    opener: Opener,
    holder_of: HolderOf,
    open: Mutex<HashMap<String, Arc<dyn Provider>>>,
}

/// A call to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Open the door.
    Grant,
    /// Shut it.
    Revoke,
    /// Cut the `n`th key.
    Credential(u32),
}

impl Doors {
    /// The providers of this binary. No door is open yet.
    pub fn new(surroundings: Surroundings, holder_of: HolderOf) -> Self {
        let opener: Opener =
            Arc::new(move |name, resource, settings| provider::open(name, resource, settings, &surroundings));
        Self::opened_by(opener, holder_of)
    }

    /// Other providers than those of this binary, for rehearsals and simulations.
    pub fn opened_by(opener: Opener, holder_of: HolderOf) -> Self {
        Self { opener, holder_of, open: Mutex::default() }
    }

    /// The provider for a resource's target.
    ///
    /// # Errors
    /// What the provider says of its settings.
    pub fn open(&self, resource: &str, target: &Target) -> Result<Arc<dyn Provider>, ProviderError> {
        let key = format!("{resource}\n{}", key(target));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = open.get(&key) {
            return Ok(Arc::clone(provider));
        }
        let provider = (self.opener)(&target.provider, resource, &target.settings)?;
        open.insert(key, Arc::clone(&provider));
        Ok(provider)
    }

    /// What would be done, in words, for a card. No I/O. It goes into a line of the ledger, so it is kept short.
    pub fn plan(&self, resource: &str, target: &Target) -> Vec<String> {
        let lines = match self.open(resource, target) {
            Ok(provider) => provider.plan(),
            Err(error) => vec![format!("the provider can't say: {error}")],
        };
        lines.into_iter().take(PLAN_LINES_MAX).map(|line| line.chars().take(PLAN_LINE_CHARS_MAX).collect()).collect()
    }

    /// The order behind a request, if one was made.
    pub fn order(&self, state: &State, request: &Request) -> Option<Order> {
        // What extends another's access is an order for that one's door.
        let id = request.manner.extends.unwrap_or(request.id);
        Some(Order {
            external_id: state.external_id(id),
            request: id.0,
            resource: request.resource.clone(),
            holder: (self.holder_of)(state.name(request.requester)),
            not_after: request.not_after?,
        })
    }

    /// The order to shut what bears a mark, which its request need not be known for.
    pub fn order_of_mark(
        &self,
        resource: &str,
        (request, external_id): (RequestId, &str),
        holder: &str,
        not_after: DateTime<Utc>,
    ) -> Order {
        let (resource, external_id) = (resource.to_owned(), external_id.to_owned());
        Order { external_id, request: request.0, resource, holder: (self.holder_of)(holder), not_after }
    }

    /// Whether one person's grants share one object on a target. No I/O.
    pub fn shared(&self, resource: &str, target: &Target) -> bool {
        self.open(resource, target).is_ok_and(|provider| provider.describe().shared)
    }

    /// All that bears the mark of the log on a target; `None` if its provider can't see. As [`Doors::call`].
    ///
    /// # Errors
    /// What the provider said, by class.
    pub async fn list(
        self: &Arc<Self>,
        (resource, target): (String, Target),
        log_tag: String,
        late: Pause,
    ) -> Result<Option<Vec<Item>>, (FailureClass, String)> {
        let doors = Arc::clone(self);
        let work = async move {
            let provider = doors.open(&resource, &target)?;
            if provider.describe().lists { provider.list(&log_tag).await.map(Some) } else { Ok(None) }
        };
        answered(work, late).await
    }

    /// Calls the provider, until it is `late`. Panics and silence are unknown outcomes, never failures. What it says of a
    /// door that it shut is believed when it doesn't list it any more, if it lists at all.
    ///
    /// # Errors
    /// What the provider said, by class.
    pub async fn call(
        self: &Arc<Self>,
        call: Call,
        target: Target,
        order: Order,
        late: Pause,
    ) -> Result<Option<Credential>, (FailureClass, String)> {
        let doors = Arc::clone(self);
        let work = async move {
            let provider = doors.open(&order.resource, &target)?;
            match call {
                Call::Grant => provider.grant(&order).await.map(|()| None),
                Call::Revoke => revoked(provider.as_ref(), &order).await.map(|()| None),
                Call::Credential(n) => provider.credential(&order, n).await.map(Some),
            }
        };
        answered(work, late).await
    }
}

/// Names a target, whichever resource it belongs to.
pub fn key(target: &Target) -> String {
    let settings = serde_json::Value::Object(target.settings.clone());
    format!("{}\n{settings}", target.provider)
}

/// Shuts a door, and looks whether it is shut.
async fn revoked(provider: &dyn Provider, order: &Order) -> Result<(), ProviderError> {
    provider.revoke(order).await?;
    let Some(log_tag) = order.log_tag().filter(|_| provider.describe().lists) else { return Ok(()) };
    let unseen = |error: ProviderError| {
        ProviderError::Unknown(format!(
            "the provider says that it is closed, and can't be asked whether it is: {error}"
        ))
    };
    let left = provider.list(log_tag).await.map_err(unseen)?;
    if left.iter().any(|item| item.external_id == order.external_id) {
        return Err(ProviderError::Unknown("the provider says that it is closed, and still lists it".into()));
    }
    Ok(())
}

/// What a provider answers before it is `late`.
async fn answered<T: Send + 'static>(
    work: impl Future<Output = Result<T, ProviderError>> + Send + 'static,
    late: Pause,
) -> Result<T, (FailureClass, String)> {
    let work = tokio::spawn(work);
    let abort = work.abort_handle();
    tokio::select! {
        biased;
        done = work => match done {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(classed(error)),
            Err(_panic) => Err((FailureClass::Unknown, "the provider broke off".into())),
        },
        () = late => {
            abort.abort();
            let secs = PROVIDER_DEADLINE.as_secs();
            Err((FailureClass::Unknown, format!("the provider did not answer within {secs} s")))
        }
    }
}

fn classed(error: ProviderError) -> (FailureClass, String) {
    let (class, words) = match error {
        ProviderError::Retry(words) => (FailureClass::Retry, words),
        ProviderError::Permanent(words) => (FailureClass::Permanent, words),
        ProviderError::Unknown(words) => (FailureClass::Unknown, words),
    };
    (class, words.chars().take(WORDS_CHARS_MAX).collect())
}
