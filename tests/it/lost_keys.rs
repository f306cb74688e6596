//! The key of one person is damaged or gone: the service goes on, says so, and calls nobody erased.

use countersign::ledger::Disclosed;

use crate::support::demo::{self, Demo, countersign};

/// The id of somebody, by name.
fn subject(ledger: &std::path::Path, who: &str) -> String {
    let entries = demo::opened(ledger);
    let is = |one: &Disclosed| matches!(one, Disclosed::Open(open) if open.name == "name" && open.value == who);
    let enrolled = entries.iter().find(|entry| entry.disclosed.iter().any(is)).unwrap();
    enrolled.body["subject"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_whose_key_is_lost_stops_nobody_and_can_be_erased() {
    for (damage, why) in [("flipped", "its key is not the one it was sealed with"), ("missing", "its key is missing")] {
        let dir = demo::folder();
        let demo = Demo::start(dir.path());
        demo.says("ana", "prod-host 5m a private reason").await;
        let id = demo.newest_request();
        demo.says("cleo", &format!("deny {id} not today")).await;
        let ledger = demo.ledger();
        demo.stop();
        let cleo = subject(&ledger, "cleo");
        let key = ledger.join("keys").join(&cleo);
        if damage == "flipped" {
            let mut bytes = std::fs::read(&key).unwrap();
            bytes[5] ^= 1;
            std::fs::write(&key, bytes).unwrap();
        } else {
            std::fs::remove_file(&key).unwrap();
        }

        let demo = Demo::start(dir.path());
        let told = demo.says("ben", &format!("show {id}")).await;
        assert!(told.text.contains("(its key is lost)") && !told.text.contains("(erased)"), "{told:?}");
        // As somebody else, as far as anybody can tell.
        assert_eq!(demo.says("cleo", "prod-host 5m afresh").await.tone, "done");
        let wanted = format!("{}: {why}; put the files back from the backup of `keys/`", key.display());
        crate::support::process::until("the warning", || demo.logged().contains(&wanted));
        demo.stop();

        let (ledger, config) = (ledger.to_string_lossy(), dir.path().join("bot-config"));
        let (config, to) = (config.to_string_lossy(), dir.path().join("out").to_string_lossy().into_owned());
        let (code, said, errors) = countersign(&["log", "--ledger", &ledger]);
        assert_eq!(code, 0, "{errors}");
        assert!(said.contains(&format!("(can't be opened: {why})")) && !said.contains("(erased)"), "{said}");
        let (code, _, errors) = countersign(&["export", &ledger, "--to", &to, "--disclosures"]);
        assert!(
            code == 0 && errors.contains("disclosures are left out that can't be opened, though nobody"),
            "{errors}"
        );
        assert_eq!(countersign(&["verify", &ledger]).0, 1);

        // The name is the one of who came afterwards.
        let (code, said, errors) = countersign(&["erase", &cleo, "--yes", "--config", &config]);
        assert!(code == 0 && said.contains("subject.enrolled"), "{said}{errors}");
        let (code, said, errors) = countersign(&["verify", &ledger]);
        assert_eq!(code, 0, "{said}{errors}");
        let (_, said, _) = countersign(&["log", "--ledger", &ledger]);
        assert!(said.contains("(erased)") && !said.contains("can't be opened"), "{said}");
    }
}
