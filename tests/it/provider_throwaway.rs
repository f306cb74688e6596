//! The throwaway cluster: it is there in a moment, comes back with what was in it, and never outlives us.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use countersign::provider::throwaway::{Cluster, DATABASE, PROFILE};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    door::{Place, TAG, order, part},
    postgres::psql,
    process::{is_root, run, until},
};

/// The variable by which the test's own program is asked to hold a cluster and be killed.
const HOLD: &str = "COUNTERSIGN_TEST_HOLD_CLUSTER";

fn place() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("countersign-demo-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Whether any server still runs on this folder.
fn runs(dir: &Path) -> bool {
    run(Command::new("ps").args(["-eo", "args"])).contains(&dir.canonicalize().unwrap().display().to_string())
}

#[tokio::test]
async fn it_has_all_the_demo_needs() {
    let dir = place();
    let cluster = Cluster::open(&dir.path().join("postgres")).await.unwrap();
    let url = cluster.admin_url().expose_secret().to_owned();
    let port = url.split(':').nth(3).unwrap().split('/').next().unwrap();
    assert!(cluster.words().starts_with("PostgreSQL "), "{}", cluster.words());
    assert!(
        cluster.words().ends_with(&format!("/bin, a throwaway cluster on 127.0.0.1:{port}")),
        "{}",
        cluster.words()
    );
    assert!(!format!("{cluster:?}").contains("countersign_bot"), "no URL in {cluster:?}");
    assert_eq!(psql(&url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").unwrap(), "f");
    assert_eq!(psql(&url, "SHOW listen_addresses").unwrap(), "127.0.0.1");

    let place = Place::new(&[("DEMO_DB_URL", &url)]);
    let provider = place.open("postgres", "orders-db", &json!({ "url_env": "DEMO_DB_URL", "role": PROFILE }));
    assert_eq!(provider.check().await.unwrap(), Vec::<String>::new());
    let order = order("orders-db", 1);
    provider.grant(&order).await.unwrap();
    let credential = provider.credential(&order, 1).await.unwrap();
    let theirs = part(&credential, "URL");
    assert!(theirs.ends_with(&format!("/{DATABASE}")), "the database is named");
    assert_eq!(psql(&theirs, "SELECT count(*) > 2 FROM orders").unwrap(), "t");
    psql(&theirs, "INSERT INTO orders (customer, item, quantity) VALUES ('Barbara', 'substitution', 1)").unwrap();
    psql(&theirs, "UPDATE orders SET state = 'shipped'; DELETE FROM orders WHERE id = 1").unwrap();

    // Nobody else may use the folder while it runs.
    let refused = Cluster::open(&dir.path().join("postgres")).await.unwrap_err();
    assert_eq!(refused.to_string(), "another process runs the cluster in this folder");

    cluster.stop().await;
    assert!(!runs(dir.path()), "stopped is stopped");
    let again = Cluster::open(&dir.path().join("postgres")).await.unwrap();
    assert_eq!(again.admin_url().expose_secret(), &url, "on the same port, so that what was shown goes on");
    assert_eq!(
        psql(&theirs, "SELECT count(*) FROM orders WHERE customer = 'Barbara'").unwrap(),
        "1",
        "the role survived"
    );
    assert_eq!(provider.list(TAG).await.unwrap().len(), 1);
    provider.revoke(&order).await.unwrap();
    drop(again);
    assert!(!runs(dir.path()), "dropped is stopped");
    for entry in fs::read_dir(dir.path().join("postgres")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "cluster.json" {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

/// Not a test by itself: run by [`it_dies_with_us`] in a process that is killed.
#[tokio::test]
async fn holds_a_cluster() {
    let Some(dir) = std::env::var_os(HOLD) else { return };
    let cluster = Cluster::open(Path::new(&dir)).await.unwrap();
    fs::write(Path::new(&dir).join("url"), cluster.admin_url().expose_secret()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn it_dies_with_us() {
    let dir = place();
    let folder = dir.path().join("postgres");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["provider_throwaway::holds_a_cluster", "--exact"])
        .env(HOLD, &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the cluster stands", || folder.join("url").exists());
    let url = fs::read_to_string(folder.join("url")).unwrap();
    psql(&url, "CREATE ROLE cs_abcdefgh_7").unwrap();
    // As `kill -9`: nothing of ours runs any more.
    holder.kill().unwrap();
    holder.wait().unwrap();
    // Straight away, while the old server may still be going.
    let cluster = Cluster::open(&folder).await.unwrap();
    let again = cluster.admin_url().expose_secret();
    assert_eq!(psql(again, "SELECT count(*) FROM pg_roles WHERE rolname = 'cs_abcdefgh_7'").unwrap(), "1");
    drop(cluster);
    until("every server is gone", || !runs(dir.path()));
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_taken_over() {
    let dir = place();
    let folder = dir.path().join("postgres");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["provider_throwaway::holds_a_cluster", "--exact"])
        .env(HOLD, &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the cluster stands", || folder.join("url").exists());
    // Everything but the server is killed, so that nobody tells it to stop.
    let pid: String = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap().lines().next().unwrap().into();
    let keeper = run(Command::new("ps").args(["-o", "ppid=", "-p", &pid]));
    let watchers = run(Command::new("ps").args(["-o", "pid=", "--ppid", keeper.trim()]));
    for process in watchers.split_whitespace().chain([keeper.trim()]).filter(|process| *process != pid) {
        run(Command::new("kill").args(["-KILL", process]));
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(runs(dir.path()), "the server is an orphan");
    let cluster = Cluster::open(&folder).await.unwrap();
    psql(cluster.admin_url().expose_secret(), "SELECT 1").unwrap();
    drop(cluster);
    until("every server is gone", || !runs(dir.path()));
}

#[tokio::test]
async fn what_was_half_made_is_made_anew() {
    let dir = place();
    let folder = dir.path().join("postgres");
    fs::create_dir_all(folder.join("data/base")).unwrap();
    fs::write(folder.join("data/PG_VERSION"), "9").unwrap();
    let cluster = Cluster::open(&folder).await.unwrap();
    psql(cluster.admin_url().expose_secret(), "SELECT 1").unwrap();
}

#[tokio::test]
async fn why_not_is_one_line() {
    // A folder that the server's user can't enter; only root has such a user.
    if is_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let why = Cluster::open(&dir.path().join("postgres")).await.unwrap_err().to_string();
        assert!(why.contains("can't be entered by `postgres`") && !why.contains('\n'), "{why}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let why = Cluster::open(&file.path().join("postgres")).await.unwrap_err().to_string();
    assert!(why.starts_with("can't make the folder") && !why.contains('\n'), "{why}");
}
