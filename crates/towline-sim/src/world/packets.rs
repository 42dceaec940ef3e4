//! Datagrams between nodes: addresses, routes of lines, translators, clocks that drift.

#[cfg(test)]
mod tests;

use super::{Event, Happening, TimerId, World};
use crate::datagram::{Drift, Parcel};
use crate::nat::Nat;
use crate::{Address, Conditions, Counts, Datagram, Ecn, Line, Nanos, Rng};
use std::collections::{BTreeMap, VecDeque};

/// A host with a clock and an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

/// One direction of a packet link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId(u32);

/// How many buffers of datagrams that were taken in wait for the next to be sent.
const SPARE_BUFFERS: usize = 65_536;

/// The part of a world that carries datagrams.
#[derive(Debug)]
pub(super) struct Packets {
    /// Chance of their own, so that they do not shift what byte streams draw.
    rng: Rng,
    nodes: Vec<NodeState>,
    /// Who has each host; a host that a translator left belongs to nobody.
    hosts: Vec<Option<Node>>,
    lines: Vec<LineState>,
    routes: Vec<Route>,
    by_ends: BTreeMap<(Node, Node), u32>,
    changes: Vec<(LineId, Conditions)>,
    spare: Vec<Vec<u8>>,
    undeliverable: u64,
}

#[derive(Debug)]
struct NodeState {
    host: u32,
    drift: Drift,
    nat: Option<Nat>,
    inbox: VecDeque<Datagram>,
}

#[derive(Debug)]
struct LineState {
    line: Line<Parcel>,
    /// When the agenda will turn to this line; entries at other times are void.
    wakes_at: Option<Nanos>,
}

#[derive(Debug)]
struct Route {
    to: Node,
    lines: Box<[LineId]>,
}

impl Packets {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(!seed),
            nodes: Vec::new(),
            hosts: Vec::new(),
            lines: Vec::new(),
            routes: Vec::new(),
            by_ends: BTreeMap::new(),
            changes: Vec::new(),
            spare: Vec::new(),
            undeliverable: 0,
        }
    }

    fn new_host(&mut self, owner: Node) -> u32 {
        self.hosts.push(Some(owner));
        (self.hosts.len() - 1) as u32
    }

    fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS {
            bytes.clear();
            self.spare.push(bytes);
        }
    }
}

impl World {
    /// A host whose clock is the world's.
    pub fn node(&mut self) -> Node {
        self.drifting_node(0)
    }

    /// A host whose clock gains (or loses) so many microseconds in a second.
    pub fn drifting_node(&mut self, parts_per_million: i32) -> Node {
        let node = Node(self.packets.nodes.len() as u32);
        let host = self.packets.new_host(node);
        let drift = Drift::new(parts_per_million);
        self.packets.nodes.push(NodeState { host, drift, nat: None, inbox: VecDeque::new() });
        node
    }

    /// What the node itself calls its port. Behind a translator others see another one.
    pub fn address(&self, node: Node, port: u16) -> Address {
        Address { host: self.at(node).host, port }
    }

    /// What the node's clock shows.
    pub fn clock(&self, node: Node) -> Nanos {
        self.at(node).drift.shows(self.now)
    }

    /// When, on the world's clock, the node's clock will show `own`.
    pub fn when(&self, node: Node, own: Nanos) -> Nanos {
        self.at(node).drift.reaches(own)
    }

    /// Sets a timer by the node's clock: when it is due, that clock shows `own` or a little more.
    pub fn set_timer_of(&mut self, node: Node, own: Nanos) -> TimerId {
        self.set_timer(self.when(node, own))
    }

    /// Makes a line that no route uses yet.
    pub fn line(&mut self, conditions: Conditions) -> LineId {
        let line = Line::new(conditions, self.packets.rng.fork());
        self.packets.lines.push(LineState { line, wakes_at: None });
        LineId((self.packets.lines.len() - 1) as u32)
    }

    /// Sends what goes from one node to another over these lines from now on, in this order. Several routes may share a line:
    /// that is a bottleneck.
    pub fn route(&mut self, from: Node, to: Node, lines: &[LineId]) {
        assert!(!lines.is_empty(), "a route has at least one line");
        let number = self.packets.routes.len() as u32;
        self.packets.routes.push(Route { to, lines: lines.into() });
        self.packets.by_ends.insert((from, to), number);
    }

    /// Joins two nodes by a link of the same conditions both ways: the line from the first to the second, and the one back.
    pub fn join(&mut self, one: Node, other: Node, conditions: Conditions) -> (LineId, LineId) {
        let (there, back) = (self.line(conditions), self.line(conditions));
        self.route(one, other, &[there]);
        self.route(other, one, &[back]);
        (there, back)
    }

    /// What a line does to its packets now.
    pub fn conditions(&self, line: LineId) -> Conditions {
        *self.packets.lines[line.0 as usize].line.conditions()
    }

    /// Changes what a line does to its packets.
    pub fn set_conditions(&mut self, line: LineId, conditions: Conditions) {
        self.packets.lines[line.0 as usize].line.set_conditions(self.now, conditions);
        self.wake(line);
    }

    /// Changes it at a time.
    pub fn set_conditions_at(&mut self, line: LineId, at: Nanos, conditions: Conditions) {
        let change = self.packets.changes.len();
        self.packets.changes.push((line, conditions));
        self.schedule(at, Event::Change(change));
    }

    /// What became of a line's packets.
    pub fn counts(&self, line: LineId) -> Counts {
        *self.packets.lines[line.0 as usize].line.counts()
    }

    /// How many bytes wait at a line or are being sent.
    pub fn queued_bytes(&mut self, line: LineId) -> u64 {
        self.packets.lines[line.0 as usize].line.queued_bytes(self.now)
    }

    /// How many packets wait at a line or are being sent.
    pub fn queued_packets(&mut self, line: LineId) -> usize {
        self.packets.lines[line.0 as usize].line.queued_packets(self.now)
    }

    /// How many datagrams had no way to their destination: no such host, no route, or not let in by a translator.
    pub const fn undeliverable(&self) -> u64 {
        self.packets.undeliverable
    }

    /// Puts a node behind a translator that forgets a mapping on which nothing went out for `idle`.
    pub fn put_behind_nat(&mut self, node: Node, idle: Nanos) {
        let inner = self.at(node).host;
        self.packets.hosts[inner as usize] = None;
        let outer = self.packets.new_host(node);
        self.packets.nodes[node.0 as usize].nat = Some(Nat::new(outer, idle));
    }

    /// Gives the node's translator another outer address. Whatever was open through the old one is gone, also for what is on
    /// its way.
    pub fn rebind(&mut self, node: Node) {
        let host = self.packets.new_host(node);
        let nat = self.packets.nodes[node.0 as usize].nat.as_mut().expect("the node stands behind a translator");
        self.packets.hosts[nat.host as usize] = None;
        nat.rebind(host);
    }

    /// Sends a datagram from a node. The source may be anybody's address: a network believes it (and a translator replaces it).
    pub fn send(&mut self, node: Node, source: Address, destination: Address, ecn: Ecn, bytes: &[u8]) {
        let mut copy = self.packets.spare.pop().unwrap_or_default();
        copy.extend_from_slice(bytes);
        let source = match &mut self.packets.nodes[node.0 as usize].nat {
            Some(nat) => nat.outgoing(self.now, source.port, destination),
            None => source,
        };
        let datagram = Datagram { source, destination, ecn, bytes: copy };
        let owner = self.packets.hosts.get(destination.host as usize).copied().flatten();
        match owner.and_then(|to| self.packets.by_ends.get(&(node, to))) {
            Some(&route) => self.offer(Parcel { datagram, route, passed: 0 }),
            None => {
                self.packets.undeliverable += 1;
                self.packets.recycle(datagram.bytes);
            }
        }
    }

    /// Takes the next datagram that arrived at a node.
    pub fn receive(&mut self, node: Node) -> Option<Datagram> {
        self.packets.nodes[node.0 as usize].inbox.pop_front()
    }

    /// Gives back the memory of a datagram that was received, for one that will be sent: then steady traffic allocates nothing.
    pub fn recycle(&mut self, datagram: Datagram) {
        self.packets.recycle(datagram.bytes);
    }

    fn at(&self, node: Node) -> &NodeState {
        &self.packets.nodes[node.0 as usize]
    }

    /// Gives a parcel to the next line of its route.
    fn offer(&mut self, parcel: Parcel) {
        let id = self.packets.routes[parcel.route as usize].lines[parcel.passed as usize];
        self.packets.lines[id.0 as usize].line.offer(self.now, parcel);
        self.wake(id);
    }

    /// Sees to it that the agenda turns to a line when something arrives at its far end.
    fn wake(&mut self, id: LineId) {
        let state = &mut self.packets.lines[id.0 as usize];
        let next = state.line.next_at();
        if next != state.wakes_at {
            state.wakes_at = next;
            if let Some(at) = next {
                self.schedule(at, Event::Line(id));
            }
        }
    }

    /// Takes one packet off a line, if one has arrived.
    pub(super) fn turn_to_line(&mut self, id: LineId) -> Option<Happening> {
        let state = &mut self.packets.lines[id.0 as usize];
        if state.wakes_at != Some(self.now) {
            return None;
        }
        state.wakes_at = None;
        let arrived = state.line.poll(self.now);
        self.wake(id);
        let (_, mut parcel) = arrived?;
        parcel.passed += 1;
        if (parcel.passed as usize) < self.packets.routes[parcel.route as usize].lines.len() {
            self.offer(parcel);
            return None;
        }
        self.deliver(parcel)
    }

    fn deliver(&mut self, parcel: Parcel) -> Option<Happening> {
        let to = self.packets.routes[parcel.route as usize].to;
        let node = &mut self.packets.nodes[to.0 as usize];
        let mut datagram = parcel.datagram;
        if let Some(nat) = &mut node.nat {
            let Some(port) = nat.incoming(self.now, datagram.source, datagram.destination) else {
                self.packets.undeliverable += 1;
                self.packets.recycle(datagram.bytes);
                return None;
            };
            datagram.destination = Address { host: node.host, port };
        }
        node.inbox.push_back(datagram);
        Some(Happening::Datagram(to))
    }

    pub(super) fn apply_change(&mut self, change: usize) {
        let (line, conditions) = self.packets.changes[change];
        self.set_conditions(line, conditions);
    }
}
