//! A provider of this binary behind the plugins' protocol: the same questions, the same form of answers.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    Provider, ProviderError,
    plugin::{Heard, Lost, Message, Reach, Transport},
    protocol::{Abilities, Failure, FailureKind, Reply, Request, Status, VERSION, Verb, WireItem},
};

/// A provider that answers lines.
pub struct Served(pub Arc<dyn Provider>);

#[async_trait]
impl Transport for Served {
    fn reach(&self) -> Reach {
        Reach::Inside
    }

    async fn exchange(&self, message: &Message) -> Result<Heard, Lost> {
        let reply = tokio::time::timeout(message.limit, self.answer(&message.line)).await;
        let late = || Lost::from(ProviderError::Unknown("it did not answer in time".into()));
        Ok(Heard { reply: reply.map_err(|_| late())?, aside: Vec::new() })
    }
}

impl Served {
    /// The one line that answers a line.
    pub async fn answer(&self, line: &[u8]) -> Zeroizing<Vec<u8>> {
        let reply = match serde_json::from_slice::<Request>(line) {
            Ok(request) => self.reply(&request).await,
            // Whatever its id was: an answer that is for no request is unknown to whoever asked.
            Err(error) => refused(String::new(), None, format!("not a request (column {})", error.column())),
        };
        Zeroizing::new(serde_json::to_vec(&reply).unwrap_or_default())
    }

    async fn reply(&self, request: &Request) -> Reply {
        let (id, nonce) = (request.id.clone(), request.nonce.clone());
        if request.v != VERSION {
            return refused(id, nonce, format!("this is `{VERSION}`, and the request is not"));
        }
        let mut reply = Reply::new(id, nonce, Status::Ok);
        if let Err(error) = self.fill(request, &mut reply).await {
            reply.status = Status::Error;
            reply.error = Some(error.into());
        }
        reply
    }

    /// Does what is asked and puts into the reply what belongs there.
    async fn fill(&self, request: &Request, reply: &mut Reply) -> Result<(), ProviderError> {
        let missing =
            |key: &str| ProviderError::Permanent(format!("`{}` without `{key}` is not done", request.verb.word()));
        let provider = self.0.as_ref();
        match request.verb {
            Verb::Describe => reply.description = Some(Abilities::from(&provider.describe())),
            Verb::Check => reply.lacking = Some(provider.check().await?),
            Verb::Plan => reply.plan = Some(provider.plan()),
            Verb::Grant => provider.grant(&request.order().map_err(missing)?).await?,
            Verb::Revoke => provider.revoke(&request.order().map_err(missing)?).await?,
            Verb::Credential => {
                let (order, n) = (request.order().map_err(missing)?, request.n.ok_or_else(|| missing("n"))?);
                reply.credential = Some((&provider.credential(&order, n).await?).into());
            }
            Verb::List => reply.items = Some(self.items(request.log_tag.as_deref()).await?),
            Verb::Activity => {
                let order = request.order().map_err(missing)?;
                let told = provider.activity(&order, request.after.as_deref()).await?;
                let told = told.ok_or_else(|| ProviderError::Permanent("it can't tell what was done".into()))?;
                reply.deeds = Some(told.deeds.into_iter().map(Into::into).collect());
                reply.next = told.next;
            }
        }
        Ok(())
    }

    async fn items(&self, log_tag: Option<&str>) -> Result<Vec<WireItem>, ProviderError> {
        if let Some(log_tag) = log_tag {
            return Ok(self.0.list(log_tag).await?.into_iter().map(Into::into).collect());
        }
        let marks = self.0.marked().await?;
        let marks = marks.ok_or_else(|| ProviderError::Permanent("it keeps no objects of all logs".into()))?;
        let item = |marked: super::Marked| WireItem {
            external_id: marked.external_id,
            not_after: Some(marked.not_after),
            resource: Some(marked.resource),
        };
        Ok(marks.items.into_iter().map(item).collect())
    }
}

fn refused(id: String, nonce: Option<String>, message: String) -> Reply {
    let error = Some(Failure { class: FailureKind::Permanent, message });
    Reply { error, ..Reply::new(id, nonce, Status::Error) }
}
