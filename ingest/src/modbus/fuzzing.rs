//! Answers of devices that nobody would build.

use super::wire::{Block, Function, Judged, Look, Question, rtu_look, tcp_look};

/// Takes frame after frame, and holds each against a question that the first byte chose.
pub fn modbus_wire(mut heard: &[u8], choice: u8, tcp: bool) {
    let function = Function::of(i64::from(choice >> 2) % 4 + 1).expect("1 to 4");
    let question = Question::Read(Block { function, first: 0, count: u16::from(choice >> 4) + 1 });
    loop {
        let (pdu, length) = if tcp {
            let Look::Frame(frame) = tcp_look(heard) else { return };
            (frame.pdu(heard), frame.length)
        } else {
            let Look::Frame(length) = rtu_look(heard) else { return };
            (&heard[1..length - 2], length)
        };
        if let Judged::Fits(values) = question.judge(pdu) {
            assert_eq!(values.len() + 2, question.answer_len());
        }
        assert!((1..=heard.len()).contains(&length));
        heard = &heard[length..];
    }
}
