//! A DNS server that says what it is told, on loopback.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// A zone that can be changed while it is asked.
#[derive(Clone, Default)]
pub struct Zone {
    records: Arc<Mutex<Vec<Record>>>,
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.'))).unwrap()
}

impl Zone {
    pub fn new() -> Self {
        Zone::default()
    }

    fn add(self, owner: &str, ttl: u32, data: RData) -> Self {
        self.records.lock().unwrap().push(Record::from_rdata(name(owner), ttl, data));
        self
    }

    pub fn address(self, owner: &str, ttl: u32, ip: &str) -> Self {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        self.add(owner, ttl, data)
    }

    pub fn srv(self, owner: &str, priority: u16, weight: u16, port: u16, host: &str) -> Self {
        self.add(owner, 60, RData::SRV(SRV::new(priority, weight, port, name(host))))
    }

    pub fn naptr(self, owner: &str, order: u16, preference: u16, service: &str, to: &str) -> Self {
        let (flags, service) = (b"s".to_vec().into(), service.as_bytes().to_vec().into());
        self.add(
            owner,
            60,
            RData::NAPTR(NAPTR::new(order, preference, flags, service, Box::default(), name(to))),
        )
    }

    pub fn clear(&self) {
        self.records.lock().unwrap().clear();
    }

    /// Answers for ever; where.
    pub async fn serve(&self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let zone = self.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                let answer = zone.answer(&question);
                let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
            }
        });
        at
    }

    fn answer(&self, question: &Message) -> Message {
        let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        let records = self.records.lock().unwrap();
        for query in &question.queries {
            answer.add_query(query.clone());
            let of_name = records.iter().filter(|r| r.name == *query.name());
            let mut known = false;
            for record in of_name {
                known = true;
                if record.data.record_type() == query.query_type() || query.query_type() == RecordType::ANY {
                    answer.add_answer(record.clone());
                }
            }
            if !known {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        answer
    }
}
