//! `schema`: what the files of a config may say, for editors and for people.

use std::path::PathBuf;

use super::{Outcome, out::say};
use crate::{config::schema, policy};

/// Write a JSON Schema for each TOML file, the Cedar schema of the policies, and the policies that are always in force
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: countersign schema bot-config/schema

Then `#:schema schema/resources.json` in the first line of resources.toml has editors complete it.")]
pub struct Args {
    /// The folder they are written to
    dir: PathBuf,
}

pub fn main(args: &Args) -> Outcome {
    std::fs::create_dir_all(&args.dir)?;
    let mut files: Vec<(String, String)> = Vec::new();
    for file in schema::FILES {
        let text = serde_json::to_string_pretty(&schema::of(file))? + "\n";
        files.push((file.name.replace(".toml", ".json"), text));
    }
    files.push(("countersign.cedarschema".into(), policy::SCHEMA.to_owned()));
    files.push(("shipped.cedar".into(), policy::SHIPPED.to_owned()));
    for (name, text) in files {
        let path = args.dir.join(name);
        std::fs::write(&path, text)?;
        say!("{}", path.display());
    }
    Ok(())
}
