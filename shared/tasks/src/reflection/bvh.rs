//! Finds the objects that a ray may meet: a bounding volume hierarchy (BVH), four boxes to a node, built by obvhs
//! and collapsed here.
//!
//! The leaves are whole objects, since a convex rock is intersected faster by its planes than by its
//! triangles (`docs/PERFORMANCE.md`).

use glam::Vec3;
use obvhs::aabb::Aabb;
use obvhs::bvh2::Bvh2;
use obvhs::bvh2::reinsertion::ReinsertionOptimizer;
use obvhs::ploc::{PlocBuilder, PlocSearchDistance, SortPrecision};

/// Set in [`Node::children`] where the child is an object: the other bits are its number.
pub const LEAF: u32 = 1 << 31;
/// A missing child. Its box is a point that no ray reaches.
pub const NO_CHILD: u32 = u32::MAX;
/// Nodes on the longest path from the root down; a tree that would be deeper is built by halving instead.
pub const DEPTH_MAX: usize = 10;
/// Entries of a traversal's stack at most: a node pushes three more than it takes.
pub const STACK: usize = 3 * DEPTH_MAX + 2;
/// Boxes of the largest tree that is built by joining neighbours and then improved. Where boxes are nested or
/// in a row, each pass over all boxes joins only one pair, and improving searches all places for each box;
/// for thousands of boxes that would take longer than a task pays for.
const JOINED_MAX: usize = 128;
/// Coordinate of the boxes of missing children, farther away than any ray reaches.
const NOWHERE: f32 = 1e30;

/// Four boxes and the nodes or objects in them. Node 0 is the root.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub struct Node {
    /// Least x, y, z of the four, then most x, y, z.
    pub bounds: [[f32; 4]; 6],
    /// Indices of nodes, or objects with [`LEAF`], or [`NO_CHILD`].
    pub children: [u32; 4],
}

impl Node {
    const EMPTY: Self = Self { bounds: [[NOWHERE; 4]; 6], children: [NO_CHILD; 4] };

    fn set(&mut self, place: usize, bounds: &Aabb, reference: u32) {
        for axis in 0..3 {
            self.bounds[axis][place] = bounds.min[axis];
            self.bounds[axis + 3][place] = bounds.max[axis];
        }
        self.children[place] = reference;
    }
}

/// A box, least and most corner.
pub(super) type Bounds = (Vec3, Vec3);

/// The box as obvhs has it. Through arrays, because obvhs may be built with another version of glam.
fn aabb((min, max): &Bounds) -> Aabb {
    Aabb::new(min.to_array().into(), max.to_array().into())
}

/// The tree over objects with these boxes; at least one node.
pub(super) fn build(boxes: &[Bounds]) -> Vec<Node> {
    if boxes.is_empty() {
        return vec![Node::EMPTY];
    }
    let boxes: Vec<Aabb> = boxes.iter().map(aabb).collect();
    if boxes.len() <= JOINED_MAX {
        let nodes = joined(&boxes);
        // A deeper tree comes from nested boxes, or from a spec made to give long paths.
        if depth(&nodes) <= DEPTH_MAX {
            return nodes;
        }
    }
    let mut nodes = Vec::with_capacity(boxes.len() / 2 + 1);
    halve(&boxes, &mut (0..boxes.len() as u32).collect::<Vec<_>>(), &mut nodes);
    nodes
}

/// The tree that joins neighbours, which may be deep.
fn joined(boxes: &[Aabb]) -> Vec<Node> {
    let indices = (0..boxes.len() as u32).collect();
    let mut tree =
        PlocBuilder::new().build(PlocSearchDistance::Medium, boxes, indices, SortPrecision::U64, 0);
    ReinsertionOptimizer::default().run(&mut tree, 0.25, Some(vec![1.0, 0.5]));
    let mut nodes = Vec::with_capacity(boxes.len() / 2 + 1);
    collapse(&tree, 0, &mut nodes);
    nodes
}

/// Nodes on the longest path from the root down; children come after their parents.
fn depth(nodes: &[Node]) -> usize {
    let mut depths = vec![1; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        for child in node.children.iter().filter(|child| **child & LEAF == 0) {
            depths[*child as usize] = depths[at] + 1;
        }
    }
    depths.into_iter().max().unwrap_or(0)
}

/// Appends a node over `objects`, split in four by the centres of their boxes: the tree has the least
/// possible depth.
fn halve(boxes: &[Aabb], objects: &mut [u32], nodes: &mut Vec<Node>) -> u32 {
    let at = nodes.len();
    nodes.push(Node::EMPTY);
    let left = split(boxes, objects);
    let (low, high) = objects.split_at_mut(left);
    let (low_left, high_left) = (split(boxes, low), split(boxes, high));
    let ((a, b), (c, d)) = (low.split_at_mut(low_left), high.split_at_mut(high_left));
    for (place, part) in [a, b, c, d].into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let bounds = part.iter().fold(Aabb::empty(), |all, object| all.union(&boxes[*object as usize]));
        let reference = if let [object] = part { LEAF | *object } else { halve(boxes, part, nodes) };
        nodes[at].set(place, &bounds, reference);
    }
    at as u32
}

/// Moves the lower half of the objects before the others, along the axis on which their centres are widest
/// apart; returns its size.
fn split(boxes: &[Aabb], objects: &mut [u32]) -> usize {
    let middle = |object: &u32| boxes[*object as usize].center();
    let spread =
        objects.iter().fold(Aabb::empty(), |all, object| all.union(&Aabb::from_point(middle(object))));
    let axis = spread.largest_axis();
    let half = objects.len().div_ceil(2);
    if half < objects.len() {
        objects
            .select_nth_unstable_by(half, |a, b| middle(a)[axis].total_cmp(&middle(b)[axis]).then(a.cmp(b)));
    }
    half
}

/// Appends the node that stands for `from` and all below it.
fn collapse(tree: &Bvh2, from: usize, nodes: &mut Vec<Node>) -> u32 {
    // The largest inner child is opened until there are four.
    let mut open = vec![from];
    while open.len() < 4 {
        let inner = open.iter().enumerate().filter(|(_, node)| !tree.nodes[**node].is_leaf());
        let area = |node: usize| tree.nodes[node].aabb.half_area();
        let largest = inner.max_by(|a, b| area(*a.1).total_cmp(&area(*b.1))).map(|(place, _)| place);
        let Some(place) = largest else { break };
        let first = tree.nodes[open[place]].first_index as usize;
        open[place] = first;
        open.push(first + 1);
    }
    let at = nodes.len();
    nodes.push(Node::EMPTY);
    for (place, child) in open.into_iter().enumerate() {
        let node = &tree.nodes[child];
        let reference = if node.is_leaf() {
            LEAF | tree.primitive_indices[node.first_index as usize]
        } else {
            collapse(tree, child, nodes)
        };
        nodes[at].set(place, &node.aabb, reference);
    }
    at as u32
}

/// A ray in the form that box tests need.
#[derive(Clone, Copy)]
pub(super) struct Ray {
    pub origin: Vec3,
    pub direction: Vec3,
    inverse: Vec3,
    /// Which of [`Node::bounds`] the ray meets first and last, along each axis.
    near: [usize; 3],
    far: [usize; 3],
}

impl Ray {
    /// `direction` has length 1.
    #[inline]
    pub fn new(origin: Vec3, direction: Vec3) -> Self {
        let safe = |part: f32| if part.abs() > 1e-12 { part } else { 1e-12 };
        let inverse = Vec3::new(1.0 / safe(direction.x), 1.0 / safe(direction.y), 1.0 / safe(direction.z));
        let (mut near, mut far) = ([0, 1, 2], [3, 4, 5]);
        for axis in 0..3 {
            if inverse[axis] < 0.0 {
                (near[axis], far[axis]) = (axis + 3, axis);
            }
        }
        Self { origin, direction, inverse, near, far }
    }

    /// Where the ray enters and leaves each of the node's boxes (or ends); it meets a box that it enters
    /// before it leaves.
    #[inline]
    fn meets(&self, node: &Node, end: f32) -> ([f32; 4], [f32; 4]) {
        let (mut entries, mut exits) = ([0.0; 4], [end; 4]);
        for axis in 0..3 {
            let (near, far) = (&node.bounds[self.near[axis]], &node.bounds[self.far[axis]]);
            let (origin, inverse) = (self.origin[axis], self.inverse[axis]);
            for lane in 0..4 {
                let entry = (near[lane] - origin) * inverse;
                entries[lane] = if entry > entries[lane] { entry } else { entries[lane] };
                let exit = (far[lane] - origin) * inverse;
                exits[lane] = if exit < exits[lane] { exit } else { exits[lane] };
            }
        }
        (entries, exits)
    }
}

/// Fuel steps of testing the four boxes of a node: the most nanoseconds it takes.
const NODE_STEPS: u64 = 14;

/// Visits the objects whose boxes the ray meets before `end`, nearest boxes first. `visit` returns where the
/// ray now ends, below 0 to stop, and how many steps it took. Returns the steps of the whole traversal.
#[inline]
pub(super) fn traverse(
    nodes: &[Node],
    ray: &Ray,
    mut end: f32,
    mut visit: impl FnMut(u32, f32) -> (f32, u64),
) -> u64 {
    let mut stack = [(0_u32, 0.0_f32); STACK];
    let (mut height, mut steps) = (1, 0);
    while height > 0 {
        height -= 1;
        let (reference, entry) = stack[height];
        if entry > end {
            continue;
        }
        if reference & LEAF != 0 {
            let (cut, took) = visit(reference & !LEAF, end);
            (end, steps) = (cut, steps + took);
            if end < 0.0 {
                return steps;
            }
            continue;
        }
        steps += NODE_STEPS;
        let node = &nodes[reference as usize];
        let (entries, exits) = ray.meets(node, end);
        let bottom = height;
        for lane in 0..4 {
            // Rounding of either distance must not lose a box that is touched.
            if entries[lane] > exits[lane] * 1.000_001 || height >= STACK {
                continue;
            }
            // The farthest is pushed first, so that the nearest is popped first.
            let mut place = height;
            while place > bottom && stack[place - 1].1 < entries[lane] {
                stack[place] = stack[place - 1];
                place -= 1;
            }
            stack[place] = (node.children[lane], entries[lane]);
            height += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boxes ever farther out, each twice as far as the one before: joining neighbours makes a chain of them.
    fn chain(count: i32) -> Vec<Bounds> {
        let place = |number: i32| Vec3::X * 2.0_f32.powi(number - count / 2);
        (0..count).map(|number| (place(number) * 0.9, place(number) * 1.1 + 1e-30)).collect()
    }

    #[test]
    fn every_object_is_in_the_tree_once_and_no_tree_is_deeper_than_the_stack() {
        let mut all = vec![chain(1), chain(2), chain(7), chain(100)];
        all.push(vec![(Vec3::ZERO, Vec3::ONE); 2_048]);
        all.push((0..2_048).map(|number| (Vec3::splat(-1e-3 * number as f32), Vec3::ONE)).collect());
        for boxes in all {
            let nodes = build(&boxes);
            assert!(depth(&nodes) <= DEPTH_MAX, "{} boxes, {} deep", boxes.len(), depth(&nodes));
            let children = nodes.iter().flat_map(|node| node.children).filter(|child| *child != NO_CHILD);
            let mut objects: Vec<u32> =
                children.filter(|child| child & LEAF != 0).map(|child| child & !LEAF).collect();
            objects.sort_unstable();
            assert_eq!(objects, (0..boxes.len() as u32).collect::<Vec<_>>());
        }
        let boxes: Vec<Aabb> = chain(100).iter().map(aabb).collect();
        let joined = depth(&joined(&boxes));
        assert!(joined > DEPTH_MAX, "{joined}: the chain needs no halving");
    }

    /// Hostile arrangements of balls: at random, in one place, in a row.
    fn crowds(count: usize) -> [Vec<Bounds>; 3] {
        let around = |at: Vec3| (at - 0.1, at + 0.1);
        let mut state = 7;
        let mut random = || (crate::picking::next(&mut state) >> 40) as f32 / (1 << 20) as f32;
        [
            (0..count).map(|_| around(Vec3::new(random(), random(), random()) * 8.0)).collect(),
            vec![around(Vec3::ONE); count],
            (0..count).map(|number| around(Vec3::X * number as f32)).collect(),
        ]
    }

    #[test]
    fn large_trees_are_as_deep_as_they_must_be_and_no_deeper() {
        for boxes in crowds(2_048) {
            // 4^6 = 4,096.
            assert_eq!(depth(&build(&boxes)), 6);
        }
    }

    #[test]
    fn no_box_no_hit() {
        let ray = Ray::new(Vec3::ZERO, Vec3::X);
        traverse(&build(&[]), &ray, 1e6, |_, _| unreachable!("nothing is there"));
    }
}
