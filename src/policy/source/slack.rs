//! A Slack user group: `usergroups.users.list`, with the scope `usergroups:read`.

use serde_json::Value;

use super::{Ask, Platform, account, http};

pub struct Usergroup {
    pub platform: Platform,
    pub id: String,
}

impl Ask for Usergroup {
    fn ask(&self) -> Result<Vec<String>, String> {
        let token = self.platform.token.as_ref().map_err(Clone::clone)?;
        let url = format!("{}/usergroups.users.list?usergroup={}", self.platform.api_url, http::encoded(&self.id));
        let answer = http::get("Slack", &url, Some(("Bearer ", token)), "application/json")?;
        if answer.get("ok") != Some(&Value::Bool(true)) {
            let code = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
            let code: String = code.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(60).collect();
            return Err(format!("Slack says `{code}`"));
        }
        let users = answer.get("users").and_then(Value::as_array).ok_or("Slack's answer names no users")?;
        let place = self.platform.place.as_deref();
        Ok(users.iter().filter_map(Value::as_str).map(|user| account(place, user)).collect())
    }
}
