//! Who is on call by a `PagerDuty` schedule: `GET /oncalls` of the REST API v2. People are matched by their email.

use serde_json::Value;

use super::{Ask, Platform, http};

/// Entries a page; the API gives no more.
const PAGE_ENTRIES: usize = 100;
/// Nobody has so many people on call by one schedule.
const PAGES_MAX: usize = 10;

pub struct Schedule {
    pub platform: Platform,
    pub id: String,
}

impl Ask for Schedule {
    fn ask(&self) -> Result<Vec<String>, String> {
        let token = self.platform.token.as_ref().map_err(Clone::clone)?;
        let mut people = Vec::new();
        for page in 0..PAGES_MAX {
            // Without `since` and `until` it is about this moment.
            let url = format!(
                "{}/oncalls?schedule_ids%5B%5D={}&include%5B%5D=users&limit={PAGE_ENTRIES}&offset={}",
                self.platform.api_url,
                http::encoded(&self.id),
                page * PAGE_ENTRIES
            );
            let accept = "application/vnd.pagerduty+json;version=2";
            let answer = http::get("PagerDuty", &url, Some(("Token token=", token)), accept)?;
            let entries = answer.get("oncalls").and_then(Value::as_array);
            for entry in entries.ok_or("PagerDuty's answer has no `oncalls`")? {
                // An entry of an escalation policy without this schedule is not asked for; one that came anyway is not ours.
                if entry.pointer("/schedule/id").and_then(Value::as_str) != Some(&self.id) {
                    continue;
                }
                let email = entry.pointer("/user/email").and_then(Value::as_str);
                people.push(email.ok_or("PagerDuty left out a user's email")?.to_owned());
            }
            if answer.get("more").and_then(Value::as_bool) != Some(true) {
                return Ok(people);
            }
        }
        Err("PagerDuty's list has no end".into())
    }
}
