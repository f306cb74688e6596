//! The bytes of a tiny log, made with a seeded generator and a still clock: nobody may change them by accident.

use super::*;

#[tokio::test]
async fn the_bytes_of_a_tiny_log() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), options(42)).unwrap();
    ledger.append(1, start(), vec![personal(1, subject(1), "fixing INC-42")]).await.unwrap();
    ledger.append(2, start() + TimeDelta::seconds(1), vec![draft(2)]).await.unwrap();
    let lines: Vec<String> =
        ledger.entries(0, 3).unwrap().map(|entry| String::from_utf8(entry.unwrap().line).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"body":{"key":"example.com/test+181581f8+AZvbYH8CgCzdEmKQz6HgJeTBO727NHpw7erOWEFZMDRU","log_id":"ea9f11f8dfb0ca08a8810f9ea39c3a6afb780859e8d8c7bc37b78e2f9b8d68d9","origin":"example.com/test"},"kind":"log.opened","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":0,"time":"2026-11-21T00:59:44.123456Z","v":1}
    {"_sd":["KPyimfp4FFeSJJZBEw1VfiMZ2dzwSPWTqfmi3PjLLbM"],"body":{"n":1},"kind":"test.happened","prev":"d10f541e995ecc9ec2984acb285474bca005f86acec56632ea47f0ac5b2f12a1","seq":1,"time":"2026-11-21T00:59:44.123456Z","v":1}
    {"body":{"n":2},"kind":"test.happened","prev":"12b25edc5cbebd21931cfd684b19bc8f9f8991211a7a4c067ddab64cfaf4335d","seq":2,"time":"2026-11-21T00:59:45.123456Z","v":1}
    "#);
    insta::assert_snapshot!(ledger.head().note, @"
    example.com/test
    3
    RRA/xCJVsIRyB2tT8KOAN4OCvx5g8zdw3t4cYVX2M14=

    — example.com/test GBWB+AR0FOPxXjgdy7qDarlYYw99EZxVd7+V2Bx8oyyUkRJ/7XJ3nC+JdmvxNyYRH8r6/Ic81fDZeYQwX9DHnws/5ww=
    ");
    insta::assert_snapshot!(ledger.prove(1).unwrap(), @"
    c2sp.org/tlog-proof@v1
    extra eyJfc2QiOlsiS1B5aW1mcDRGRmVTSkpaQkV3MVZmaU1aMmR6d1NQV1RxZm1pM1BqTExiTSJdLCJib2R5Ijp7Im4iOjF9LCJraW5kIjoidGVzdC5oYXBwZW5lZCIsInByZXYiOiJkMTBmNTQxZTk5NWVjYzllYzI5ODRhY2IyODU0NzRiY2EwMDVmODZhY2VjNTY2MzJlYTQ3ZjBhYzViMmYxMmExIiwic2VxIjoxLCJ0aW1lIjoiMjAyNi0xMS0yMVQwMDo1OTo0NC4xMjM0NTZaIiwidiI6MX0=
    index 1
    0Q9UHplezJ7CmErLKFR0vKAF+GrOxWYy6kfwrFsvEqE=
    a8Umr9HlNZGuy21eSeFLp/Atw92P6q/mJsZohzpbuvk=

    example.com/test
    3
    RRA/xCJVsIRyB2tT8KOAN4OCvx5g8zdw3t4cYVX2M14=

    — example.com/test GBWB+AR0FOPxXjgdy7qDarlYYw99EZxVd7+V2Bx8oyyUkRJ/7XJ3nC+JdmvxNyYRH8r6/Ic81fDZeYQwX9DHnws/5ww=
    ");
    insta::assert_snapshot!(ledger.verifier_key(), @"example.com/test+181581f8+AZvbYH8CgCzdEmKQz6HgJeTBO727NHpw7erOWEFZMDRU");
    drop(ledger);
    let journal = std::fs::read(dir.path().join("journal/00000000.seg")).unwrap();
    insta::assert_snapshot!(hex::encode(hash::sha256(&journal)), @"356c24e3813f2e2b4a78426c210b9ac1957a8ce956e2fe2f40fd735352ecbe82");
    let public = dir.path().join("public");
    insta::assert_snapshot!(hex::encode(std::fs::read(public.join("tile/0/000.p/3")).unwrap()), @"d10f541e995ecc9ec2984acb285474bca005f86acec56632ea47f0ac5b2f12a112b25edc5cbebd21931cfd684b19bc8f9f8991211a7a4c067ddab64cfaf4335d6bc526afd1e53591aecb6d5e49e14ba7f02dc3dd8feaafe626c668873a5bbaf9");
    assert_eq!(
        std::fs::read_to_string(public.join("checkpoint")).unwrap(),
        std::fs::read_to_string(dir.path().join("head")).unwrap()
    );
}
