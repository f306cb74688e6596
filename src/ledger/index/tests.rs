use super::*;

fn batch(first: u64, lines: &[&[u8]]) -> Batch {
    let sealed = |n: u8| Sealed { subject: SubjectId([n; 16]), bytes: vec![n; 20_000] };
    Batch {
        first,
        records: lines.iter().map(|line| Record { line: line.to_vec(), sealed: vec![sealed(1), sealed(2)] }).collect(),
        head: format!("head {first}"),
    }
}

#[test]
fn what_is_applied_is_read_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![b'y'; 65_535];
    let batches = [batch(0, &[b"a", b"b", &long]), batch(3, &[b"c"])];
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.extent().unwrap(), None);
    index.apply(&batches[0]).unwrap();
    index.apply(&batches[1]).unwrap();
    drop(index);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.extent().unwrap(), Some((4, leaf_hash(b"c"))));
    let records: Vec<_> = index.records(1, 4).map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(records[1].1, batches[0].records[2]);
    assert_eq!(records[2].1, batches[1].records[0]);
    assert_eq!(index.of_subject(SubjectId([2; 16])).map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(index.of_subject(SubjectId([3; 16])).count(), 0);
    assert_eq!(index.head_from(1).unwrap().as_deref(), Some("head 0"));
    assert_eq!(index.head_from(4).unwrap().as_deref(), Some("head 3"));
    assert_eq!(index.head_from(5).unwrap(), None);
    assert_eq!(index.newest_head().unwrap().as_deref(), Some("head 3"));
}

#[test]
fn a_half_written_snapshot_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path()).unwrap();
    index.apply(&batch(0, &[b"a"])).unwrap();
    drop(index);
    std::fs::write(dir.path().join("snap.0000000000000400.generating"), b"half").unwrap();
    assert_eq!(Index::open(dir.path()).unwrap().extent().unwrap(), Some((1, leaf_hash(b"a"))));
}
