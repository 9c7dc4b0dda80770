//! Arrows between nodes, and the circles that they make.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Nodes, and what makes each arrow between two of them.
#[derive(Debug)]
pub(super) struct Graph<N, A> {
    arrows: BTreeMap<N, BTreeMap<N, A>>,
}

impl<N: Copy + Ord, A> Graph<N, A> {
    /// Returns a graph without nodes.
    pub(super) fn new() -> Self {
        Self {
            arrows: BTreeMap::new(),
        }
    }

    /// Returns what stands at an arrow, to be filled.
    pub(super) fn arrow(&mut self, from: N, to: N) -> Entry<'_, N, A> {
        self.arrows.entry(from).or_default().entry(to)
    }

    /// Returns the arrow between two nodes, if there is one.
    pub(super) fn get(&self, from: N, to: N) -> Option<&A> {
        self.arrows.get(&from)?.get(&to)
    }

    /// Returns all arrows, sorted.
    pub(super) fn all(&self) -> impl Iterator<Item = (N, N, &A)> {
        let arrows = self.arrows.iter();
        arrows.flat_map(|(from, to)| to.iter().map(move |(to, arrow)| (*from, *to, arrow)))
    }

    /// Returns the groups of nodes that all reach each other, groups of one left out.
    pub(super) fn circles(&self) -> Vec<BTreeSet<N>> {
        let reached: BTreeMap<N, BTreeSet<N>> = self
            .arrows
            .keys()
            .map(|node| (*node, self.reached_from(*node)))
            .collect();
        let reaches = |from: &N, to: &N| reached.get(from).is_some_and(|it| it.contains(to));
        let mut circles: Vec<BTreeSet<N>> = Vec::new();
        for node in self.arrows.keys() {
            if circles.iter().any(|circle| circle.contains(node)) {
                continue;
            }
            let circle: BTreeSet<N> = reached[node]
                .iter()
                .filter(|other| reaches(other, node))
                .copied()
                .collect();
            if circle.len() > 1 {
                circles.push(circle);
            }
        }
        circles
    }

    /// Returns the shortest way from a node back to itself that these nodes have; the first of several. Its start is not said again at its end.
    pub(super) fn shortest_way_around(&self, circle: &BTreeSet<N>) -> Vec<N> {
        let ways = circle.iter().filter_map(|node| self.way_back_to(*node));
        ways.min_by_key(Vec::len).unwrap_or_default()
    }

    fn neighbours(&self, node: N) -> impl Iterator<Item = N> {
        let arrows = self.arrows.get(&node).into_iter();
        arrows.flat_map(BTreeMap::keys).copied()
    }

    fn reached_from(&self, node: N) -> BTreeSet<N> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![node];
        while let Some(next) = ahead.pop() {
            ahead.extend(self.neighbours(next).filter(|it| reached.insert(*it)));
        }
        reached
    }

    fn way_back_to(&self, start: N) -> Option<Vec<N>> {
        let mut came_from = BTreeMap::new();
        let mut ahead = VecDeque::from([start]);
        while let Some(node) = ahead.pop_front() {
            for next in self.neighbours(node) {
                if next == start {
                    let before = |node: &N| came_from.get(node).copied();
                    let mut way: Vec<N> = std::iter::successors(Some(node), before).collect();
                    way.reverse();
                    return Some(way);
                }
                if let Entry::Vacant(entry) = came_from.entry(next) {
                    entry.insert(node);
                    ahead.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(char, char)]) -> Graph<char, ()> {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.arrow(*from, *to).or_insert(());
        }
        graph
    }

    #[test]
    fn a_graph_without_a_way_back_has_no_circle() {
        let graph = graph(&[('a', 'b'), ('b', 'c'), ('a', 'c')]);
        assert_eq!(graph.circles(), []);
    }

    #[test]
    fn each_group_that_reaches_itself_is_one_circle() {
        let graph = graph(&[('a', 'b'), ('b', 'a'), ('b', 'c'), ('c', 'd'), ('d', 'c')]);
        let circles = [BTreeSet::from(['a', 'b']), BTreeSet::from(['c', 'd'])];
        assert_eq!(graph.circles(), circles);
    }

    #[test]
    fn the_way_around_is_the_shortest() {
        let arrows = [('a', 'b'), ('b', 'c'), ('c', 'a'), ('c', 'd'), ('d', 'c')];
        let graph = graph(&arrows);
        let circles = graph.circles();
        assert_eq!(circles, [BTreeSet::from(['a', 'b', 'c', 'd'])]);
        assert_eq!(graph.shortest_way_around(&circles[0]), ['c', 'd']);
    }
}
