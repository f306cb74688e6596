use std::convert::Infallible;

use super::*;
use crate::ledger::hash::leaf_hash;

struct All(Vec<Hash>);

impl Nodes for All {
    type Error = Infallible;
    fn node(&self, level: u32, n: u64) -> Result<Hash, Infallible> {
        Ok(self.0[usize::try_from(stored_index(level, n)).unwrap()])
    }
}

fn grown(size: u64) -> (Frontier, All, Vec<Hash>) {
    let (mut tree, mut all, mut roots) = (Frontier::default(), Vec::new(), vec![sha256(b"")]);
    for n in 0..size {
        tree.push(leaf_hash(&n.to_be_bytes()), |node| all.push(node));
        roots.push(tree.root());
    }
    (tree, All(all), roots)
}

/// The definition in RFC 6962 section 2.1, word by word.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(usize::try_from(split(many.len() as u64)).unwrap());
            node_hash(&defined(left), &defined(right))
        }
    }
}

#[test]
fn the_root_is_that_of_the_definition() {
    let leaves: Vec<Hash> = (0..130u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    let (_, _, roots) = grown(130);
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(*root, defined(&leaves[..size]), "{size}");
    }
}

#[test]
fn the_known_vectors_of_certificate_transparency() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let mut tree = Frontier::default();
    assert_eq!(hex::encode(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for leaf in leaves {
        tree.push(leaf_hash(leaf), |_| ());
    }
    assert_eq!(hex::encode(tree.root()), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn every_inclusion_proof_of_small_trees_holds_and_no_changed_one_does() {
    let (_, all, roots) = grown(70);
    for size in 1..=70u64 {
        let root = roots[usize::try_from(size).unwrap()];
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            let proof = inclusion(&all, index, size).unwrap();
            assert!(included(&leaf, index, size, &proof, &root), "{index} of {size}");
            assert!(!included(&leaf, index + 1, size, &proof, &root), "{index} of {size}");
            assert!(!included(&leaf_hash(b"other"), index, size, &proof, &root));
            let mut longer = proof.clone();
            longer.push(root);
            assert!(!included(&leaf, index, size, &longer, &root));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!included(&leaf, index, size, shorter, &root));
            }
        }
    }
}

#[test]
fn every_consistency_proof_of_small_trees_holds_and_no_changed_one_does() {
    let (_, all, roots) = grown(70);
    let root = |size: u64| roots[usize::try_from(size).unwrap()];
    for new in 1..=70u64 {
        for old in 1..=new {
            let proof = consistency(&all, old, new).unwrap();
            assert!(consistent(old, &root(old), new, &root(new), &proof), "{old} to {new}");
            assert!(!consistent(old, &leaf_hash(b"other"), new, &root(new), &proof));
            assert!(!consistent(old, &root(old), new, &leaf_hash(b"other"), &proof));
            let mut longer = proof.clone();
            longer.push(root(old));
            assert!(!consistent(old, &root(old), new, &root(new), &longer));
        }
    }
}

#[test]
fn peaks_are_read_back_from_the_stored_nodes() {
    for size in 0..70 {
        let (tree, all, _) = grown(size);
        assert_eq!(stored_count(size), all.0.len() as u64);
        let read = Frontier::from_peaks(size, peaks(&all, size).unwrap()).unwrap();
        assert_eq!(read, tree);
    }
}
