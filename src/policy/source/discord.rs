//! A Discord role: the guild's members, of whom those with the role are taken. Needs the `GUILD_MEMBERS` intent.

use serde_json::Value;

use super::{Ask, Platform, account, http};

/// Members a page; Discord gives no more.
const PAGE_MEMBERS: usize = 1_000;
/// A guild with more pages of members than this can't be read within the deadline.
const PAGES_MAX: usize = 5;

pub struct Role {
    pub platform: Platform,
    pub id: String,
}

impl Ask for Role {
    fn ask(&self) -> Result<Vec<String>, String> {
        let token = self.platform.token.as_ref().map_err(Clone::clone)?;
        let guild = self.platform.place.as_deref().ok_or("`discord.guild_id` is not set")?;
        let mut people = Vec::new();
        let mut after = "0".to_owned();
        for _ in 0..PAGES_MAX {
            let url = format!(
                "{}/api/v10/guilds/{}/members?limit={PAGE_MEMBERS}&after={}",
                self.platform.api_url,
                http::encoded(guild),
                http::encoded(&after)
            );
            let answer = http::get("Discord", &url, Some(("Bot ", token)), "application/json")?;
            let members = answer.as_array().ok_or("Discord's answer is no list of members")?;
            for member in members {
                let id = member.pointer("/user/id").and_then(Value::as_str).ok_or("Discord left out a member's id")?;
                let roles = member.get("roles").and_then(Value::as_array);
                if roles.is_some_and(|roles| roles.iter().any(|role| role.as_str() == Some(&self.id))) {
                    people.push(account(Some(guild), id));
                }
                id.clone_into(&mut after);
            }
            if members.len() < PAGE_MEMBERS {
                return Ok(people);
            }
        }
        Err(format!("the guild has more than {} members, too many to look through", PAGES_MAX * PAGE_MEMBERS))
    }
}
