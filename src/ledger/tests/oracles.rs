//! Crates that others wrote, as oracles: `tlog_tiles` and `ct-merkle` for the tree, `signed_note` for notes.

use proptest::prelude::*;
use tlog_tiles::tlog;

use super::*;
use crate::ledger::{
    note::sign,
    tiles::{TILE_WIDTH, tiles_between},
    tree::{Frontier, consistency, inclusion, stored_index},
    verify::AllNodes,
};

fn grown(size: u64) -> (Frontier, AllNodes, ct_merkle::mem_backed_tree::MemoryBackedTree<sha2::Sha256, Vec<u8>>) {
    let (mut tree, mut nodes) = (Frontier::default(), AllNodes::default());
    let mut other = ct_merkle::mem_backed_tree::MemoryBackedTree::new();
    for n in 0..size {
        tree.push(leaf_hash(&n.to_be_bytes()), |node| nodes.0.push(node));
        other.push(n.to_be_bytes().to_vec());
    }
    (tree, nodes, other)
}

fn theirs(proof: Vec<Hash>) -> Vec<tlog::Hash> {
    proof.into_iter().map(tlog::Hash).collect()
}

impl tlog::HashReader for AllNodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|n| tlog::Hash(self.0[usize::try_from(*n).unwrap()])).collect())
    }
}

proptest! {
    #[test]
    fn the_tree_is_theirs(size in 1u64..700, index in any::<prop::sample::Index>(), older in any::<prop::sample::Index>()) {
        let (tree, nodes, other) = grown(size);
        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let older = older.index(usize::try_from(size).unwrap()) as u64 + 1;
        let root = tlog::Hash(tree.root());
        prop_assert_eq!(tlog::tree_hash(size, &nodes).unwrap(), root);
        let other_root = other.root();
        prop_assert_eq!(other_root.as_bytes().as_slice(), &tree.root());
        let proof = inclusion(&nodes, index, size).unwrap();
        prop_assert_eq!(tlog::prove_record(size, index, &nodes).unwrap(), theirs(proof.clone()));
        let leaf = tlog::Hash(leaf_hash(&index.to_be_bytes()));
        prop_assert!(tlog::check_record(&theirs(proof.clone()), size, root, index, leaf).is_ok());
        let bytes = ct_merkle::InclusionProof::<sha2::Sha256>::from_bytes(proof.as_flattened().to_vec());
        prop_assert!(other.root().verify_inclusion(&index.to_be_bytes().to_vec(), index, &bytes).is_ok());
        let proof = consistency(&nodes, older, size).unwrap();
        prop_assert_eq!(tlog::prove_tree(size, older, &nodes).unwrap(), theirs(proof.clone()));
        let older_root = tlog::tree_hash(older, &nodes).unwrap();
        prop_assert!(tlog::check_tree(&theirs(proof.clone()), size, root, older, older_root).is_ok());
        prop_assert!(consistent(older, &older_root.0, size, &root.0, &proof));
    }

    #[test]
    fn stored_indexes_are_theirs(level in 0u8..20, n in 0u64..1 << 40) {
        prop_assert_eq!(stored_index(level.into(), n), tlog::stored_hash_index(level, n));
    }

    #[test]
    fn tiles_are_theirs(old in 0u64..200_000, more in 0u64..70_000) {
        let new = old + more;
        let mut ours: Vec<String> = tiles_between(old, new).filter(|tile| tile.level.is_some()).map(|tile| tile.path()).collect();
        let mut theirs: Vec<String> = tlog_tiles::tile::Tile::new_tiles(8, old, new)
            .into_iter()
            .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
            .collect();
        ours.sort();
        theirs.sort();
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(TILE_WIDTH, 1 << 8);
    }

    #[test]
    fn notes_are_theirs(seed in any::<[u8; 32]>(), size in any::<u64>(), root in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        use signed_note::{Note, StandardVerifier, VerifierList};
        let signer = Signer::new("example.com/test", SigningKey::from_bytes(&seed));
        let head = Checkpoint { origin: "example.com/test".into(), size, root };
        let note = sign(&head, [&signer]);
        let verifier = StandardVerifier::new(&signer.verifier().to_string()).unwrap();
        let known = VerifierList::new(vec![Box::new(verifier)]);
        let accepted = |text: &[u8]| Note::from_bytes(text).is_ok_and(|note| note.verify(&known).is_ok());
        prop_assert!(accepted(note.as_bytes()));
        let read = tlog_tiles::checkpoint::Checkpoint::from_bytes(head.text().as_bytes()).unwrap();
        prop_assert_eq!((read.origin(), read.size(), read.hash().0), ("example.com/test", size, root));
        // Whatever is changed, who accepts it accepts it alike; we are the stricter ones.
        let mut bytes = note.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let ours = std::str::from_utf8(&bytes).ok().and_then(|text| SignedNote::parse(text).ok());
        let ours = ours.is_some_and(|note| note.check([signer.verifier()]) == Ok(1));
        prop_assert!(!ours || accepted(&bytes));
    }
}
