//! The RFC 6962 Merkle tree (section 2.1), pure: no storage, no I/O.
//!
//! Nodes that are complete never change, so they can be written down in the order in which they come to be:
//! [`stored_index`] says where a node stands in that order, and proofs are read from there.

use super::hash::{Hash, node_hash, sha256};

/// The right edge of a tree: the roots of its complete subtrees, largest first. Enough to grow it and to know its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, from its peaks, largest first. `None` when the count does not fit.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()).ok()? == peaks.len()).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; every node that becomes complete by it is handed to `completed`, the leaf first.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(Hash)) {
        let (mut node, mut rest) = (leaf, self.size);
        completed(node);
        while rest & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
            completed(node);
            rest >>= 1;
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root: that of the empty tree is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(first) = peaks.next() else { return sha256(b"") };
        peaks.fold(*first, |right, left| node_hash(left, &right))
    }
}

/// Where the node `n` of `level` stands when all nodes are written down in the order of their completion.
#[must_use]
pub fn stored_index(level: u32, n: u64) -> u64 {
    // The last leaf under the node; all nodes completed by the leaves before it come first.
    let leaf = ((n + 1) << level) - 1;
    stored_count(leaf) + u64::from(level)
}

/// How many nodes are complete in a tree of `size` leaves.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    // Each leaf adds itself and one node for each pair it closes: 2 size - (number of peaks).
    2 * size - u64::from(size.count_ones())
}

/// Reads one complete node: `(level, n)`.
pub trait Nodes {
    /// What reading can end in.
    type Error;
    /// The node `n` of `level`.
    ///
    /// # Errors
    /// When it can't be read.
    fn node(&self, level: u32, n: u64) -> Result<Hash, Self::Error>;
}

/// The largest power of two smaller than `n` (`n` is at least 2).
fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

fn range<N: Nodes>(nodes: &N, lo: u64, hi: u64) -> Result<Hash, N::Error> {
    let size = hi - lo;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level, lo >> level);
    }
    let middle = lo + split(size);
    Ok(node_hash(&range(nodes, lo, middle)?, &range(nodes, middle, hi)?))
}

/// The peaks of the tree of `size` leaves, largest first.
///
/// # Errors
/// When a node can't be read.
pub fn peaks<N: Nodes>(nodes: &N, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut lo = 0;
    (0..u64::BITS)
        .rev()
        .filter(|level| size >> level & 1 == 1)
        .map(|level| {
            let node = nodes.node(level, lo >> level);
            lo += 1 << level;
            node
        })
        .collect()
}

/// The inclusion proof of the leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1).
///
/// # Errors
/// When a node can't be read. `index` must be smaller than `size`; otherwise the proof is empty.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut lo, mut hi, mut path) = (0, size, Vec::new());
    while index < size && hi - lo > 1 {
        let middle = lo + split(hi - lo);
        if index < middle {
            path.push(range(nodes, middle, hi)?);
            hi = middle;
        } else {
            path.push(range(nodes, lo, middle)?);
            lo = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof from the tree of `old` leaves to that of `new` (RFC 6962 section 2.1.2).
///
/// # Errors
/// When a node can't be read. The proof is empty unless `0 < old < new`.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut lo, mut hi, mut path) = (0, new, Vec::new());
    if old == 0 || old >= new {
        return Ok(path);
    }
    while hi != old {
        let middle = lo + split(hi - lo);
        if old <= middle {
            path.push(range(nodes, middle, hi)?);
            hi = middle;
        } else {
            path.push(range(nodes, lo, middle)?);
            lo = middle;
        }
    }
    if lo > 0 {
        path.push(range(nodes, lo, hi)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `proof` shows that `leaf` is the entry `index` of the tree of `size` leaves with `root`.
#[must_use]
pub fn included(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut at, mut last) = (*leaf, index, size - 1);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = node_hash(step, &node);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}

/// Whether `proof` shows that the tree of `new` leaves with `new_root` begins with that of `old` leaves with `old_root`.
#[must_use]
pub fn consistent(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 || old > new {
        return old == 0 && proof.is_empty();
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let mut steps = proof.iter();
    let seed = if at == 0 { Some(old_root) } else { steps.next() };
    let Some(seed) = seed else { return false };
    let (mut before, mut after) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = node_hash(step, &before);
            after = node_hash(step, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *new_root
}

#[cfg(test)]
mod tests;
