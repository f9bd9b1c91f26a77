//! Packets, described by what matters in them; their bytes, all checksums included, are made from
//! that by `etherparse`.
//!
//! A packet that is expected is described by what differs from the one that went in, so everything
//! that is not named in a test must stay as it is.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpDscp, IpEcn, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header,
    TcpHeader, UdpHeader,
};
use xlb_common::layout::Hop;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

/// What every frame comes with: to this node, from the router.
pub const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

#[derive(Clone, Debug)]
pub enum Transport {
    Tcp { flags: u8, sequence: u32 },
    Udp { checksum: bool },
}

/// An IPv6 extension header: its number, and its bytes without the first, which says what follows.
#[derive(Clone, Debug)]
pub struct Extension {
    pub number: u8,
    pub rest: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Packet {
    pub macs: [u8; 12],
    /// TPID and TCI, outer first.
    pub tags: Vec<[u16; 2]>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub ttl: u8,
    /// IPv4.
    pub dont_fragment: bool,
    /// IPv4.
    pub more_fragments: bool,
    /// IPv4, in units of 8 bytes.
    pub fragment_offset: u16,
    /// IPv4, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// IPv6.
    pub extensions: Vec<Extension>,
    pub transport: Transport,
    pub payload: Vec<u8>,
    /// Bytes behind the IP packet.
    pub padding: Vec<u8>,
}

impl Packet {
    fn new(source: SocketAddr, destination: SocketAddr, transport: Transport) -> Self {
        Self {
            macs: MACS,
            tags: Vec::new(),
            source,
            destination,
            ttl: 64,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            options: Vec::new(),
            extensions: Vec::new(),
            transport,
            payload: b"the payload arrives as it was sent".to_vec(),
            padding: Vec::new(),
        }
    }

    /// A segment of an established connection.
    pub fn tcp(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::new(source, destination, Transport::Tcp { flags: ACK | PSH, sequence: 0x1234_5678 })
    }

    pub fn udp(source: SocketAddr, destination: SocketAddr) -> Self {
        Self::new(source, destination, Transport::Udp { checksum: true })
    }

    pub fn from(&self, source: SocketAddr) -> Self {
        Self { source, ..self.clone() }
    }

    pub fn to(&self, destination: SocketAddr) -> Self {
        Self { destination, ..self.clone() }
    }

    pub fn ttl(&self, ttl: u8) -> Self {
        Self { ttl, ..self.clone() }
    }

    pub fn payload(&self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self.clone() }
    }

    pub fn tagged(&self, tags: &[[u16; 2]]) -> Self {
        Self { tags: tags.to_vec(), ..self.clone() }
    }

    pub fn extended(&self, extensions: &[Extension]) -> Self {
        Self { extensions: extensions.to_vec(), ..self.clone() }
    }

    pub fn padded(&self, padding: &[u8]) -> Self {
        Self { padding: padding.to_vec(), ..self.clone() }
    }

    /// As a segment with these flags.
    pub fn flags(&self, flags: u8) -> Self {
        let Transport::Tcp { sequence, .. } = self.transport else { panic!("not TCP") };
        Self { transport: Transport::Tcp { flags, sequence }, ..self.clone() }
    }

    /// As a segment with this sequence number.
    pub fn sequence(&self, sequence: u32) -> Self {
        let Transport::Tcp { flags, .. } = self.transport else { panic!("not TCP") };
        Self { transport: Transport::Tcp { flags, sequence }, ..self.clone() }
    }

    /// As it leaves over this next hop: the MACs and tags are the hop's.
    pub fn via(&self, hop: &Hop) -> Self {
        let mut macs = [0; 12];
        macs[..8].copy_from_slice(&hop.mac_low.to_ne_bytes());
        macs[8..].copy_from_slice(&hop.mac_high.to_ne_bytes());
        let tags = hop.tags[..hop.tag_bytes as usize / 4].iter().map(|tag| {
            let [a, b, c, d] = tag.to_ne_bytes();
            [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
        });
        Self { macs, tags: tags.collect(), ..self.clone() }
    }

    pub fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// Protocol number.
    pub fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }

    /// Bytes before the IP header.
    pub fn link_length(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Bytes from the IP header on, without padding.
    pub fn ip_length(&self) -> usize {
        self.bytes().len() - self.link_length() - self.padding.len()
    }

    /// The frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = self.macs.to_vec();
        for tag in &self.tags {
            frame.extend(tag.iter().flat_map(|half| half.to_be_bytes()));
        }
        let transport = self.transport();
        if self.is_ipv4() {
            frame.extend([0x08, 0x00]);
            frame.extend(self.ipv4(transport.len()));
        } else {
            frame.extend([0x86, 0xdd]);
            frame.extend(self.ipv6(transport.len()));
        }
        frame.extend(transport);
        frame.extend(&self.padding);
        frame
    }

    /// The TCP or UDP header and the payload.
    fn transport(&self) -> Vec<u8> {
        let (source_port, destination_port) = (self.source.port(), self.destination.port());
        let mut bytes = match self.transport {
            Transport::Tcp { flags, sequence } => {
                let mut header = TcpHeader::new(source_port, destination_port, sequence, 0xfedc);
                header.acknowledgment_number = 0x9abc_def0;
                header.fin = flags & FIN != 0;
                header.syn = flags & SYN != 0;
                header.rst = flags & RST != 0;
                header.psh = flags & PSH != 0;
                header.ack = flags & ACK != 0;
                // Maximum segment size 1460.
                header.set_options_raw(&[2, 4, 5, 0xb4]).unwrap();
                header.checksum = match (self.source.ip(), self.destination.ip()) {
                    (IpAddr::V4(from), IpAddr::V4(to)) => header
                        .calc_checksum_ipv4_raw(from.octets(), to.octets(), &self.payload)
                        .unwrap(),
                    (from, to) => header
                        .calc_checksum_ipv6_raw(octets(from), octets(to), &self.payload)
                        .unwrap(),
                };
                header.to_bytes().to_vec()
            }
            Transport::Udp { checksum } => {
                let length = 8 + self.payload.len() as u16;
                let mut header = UdpHeader { source_port, destination_port, length, checksum: 0 };
                if checksum {
                    header.checksum = match (self.source.ip(), self.destination.ip()) {
                        (IpAddr::V4(from), IpAddr::V4(to)) => header
                            .calc_checksum_ipv4_raw(from.octets(), to.octets(), &self.payload)
                            .unwrap(),
                        (from, to) => header
                            .calc_checksum_ipv6_raw(octets(from), octets(to), &self.payload)
                            .unwrap(),
                    };
                }
                header.to_bytes().to_vec()
            }
        };
        bytes.extend(&self.payload);
        bytes
    }

    fn ipv4(&self, payload: usize) -> Vec<u8> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) =
            (self.source.ip(), self.destination.ip())
        else {
            panic!("addresses of two families")
        };
        let mut header = Ipv4Header {
            dscp: IpDscp::try_new(46).unwrap(),
            ecn: IpEcn::Ect0,
            total_len: 0,
            identification: 0x3e7a,
            dont_fragment: self.dont_fragment,
            more_fragments: self.more_fragments,
            fragment_offset: IpFragOffset::try_new(self.fragment_offset).unwrap(),
            time_to_live: self.ttl,
            protocol: IpNumber(self.protocol()),
            header_checksum: 0,
            source: source.octets(),
            destination: destination.octets(),
            options: Ipv4Options::try_from(&self.options[..]).unwrap(),
        };
        header.set_payload_len(payload).unwrap();
        header.header_checksum = header.calc_header_checksum();
        header.to_bytes().to_vec()
    }

    fn ipv6(&self, payload: usize) -> Vec<u8> {
        let next = |place: usize| {
            self.extensions.get(place).map_or(self.protocol(), |extension| extension.number)
        };
        let mut behind = Vec::new();
        for (place, extension) in self.extensions.iter().enumerate() {
            behind.push(next(place + 1));
            behind.extend(&extension.rest);
        }
        let header = Ipv6Header {
            traffic_class: 0xb9,
            flow_label: Ipv6FlowLabel::try_new(0xa_bcde).unwrap(),
            payload_length: (behind.len() + payload) as u16,
            next_header: IpNumber(next(0)),
            hop_limit: self.ttl,
            source: octets(self.source.ip()),
            destination: octets(self.destination.ip()),
        };
        [&header.to_bytes()[..], &behind].concat()
    }
}

impl From<&Packet> for Vec<u8> {
    fn from(packet: &Packet) -> Self {
        packet.bytes()
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("addresses of two families"),
    }
}
