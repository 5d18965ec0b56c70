// An SMSC made of the npm package `smpp`: takes messages, gives receipts, prints one JSON line for each.
// Usage: node smsc.mjs PORT ; reads lines on stdin: "throttle N" answers the next N with ESME_RTHROTTLED.
import smpp from 'smpp';
import readline from 'node:readline';

const port = Number(process.argv[2] ?? 0);
const say = (row) => process.stdout.write(`${JSON.stringify(row)}\n`);
let throttle = 0;
let count = 0;
const parts = new Map();

const server = smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => {
    const good = pdu.system_id === 'saltline' && pdu.password === 'secret';
    say({ kind: 'bind', good });
    session.send(pdu.response({ command_status: good ? 0 : smpp.ESME_RBINDFAIL }));
    if (!good) session.close();
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    if (throttle > 0) {
      throttle -= 1;
      session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      return;
    }
    const id = `m${++count}`;
    const body = pdu.short_message;
    const text = body.message ?? '';
    const udh = body.udh?.[0];
    let whole = text;
    if (udh && udh[0] === 0) {
      const [, , ref, total, index] = udh;
      const key = `${pdu.destination_addr}:${ref}`;
      const had = parts.get(key) ?? [];
      had[index - 1] = text;
      parts.set(key, had);
      whole = had.filter((part) => part !== undefined).length === total ? had.join('') : null;
    }
    session.send(pdu.response({ message_id: id }));
    if (whole !== null) {
      say({ kind: 'sms', id, to: pdu.destination_addr, from: pdu.source_addr, text: whole,
            data_coding: pdu.data_coding, receipt: pdu.registered_delivery, at: performance.timeOrigin + performance.now() });
    }
    if (pdu.registered_delivery) {
      const done = `id:${id} sub:001 dlvrd:001 submit date:2603120500 done date:2603120501 stat:DELIVRD err:000 text:`;
      setTimeout(() => session.deliver_sm({
        source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
        esm_class: 4, short_message: done, receipted_message_id: id, message_state: 2,
      }), 50);
    }
  });
});

server.listen(port, '127.0.0.1', () => say({ kind: 'ready', port: server.address().port }));
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, n] = line.split(' ');
  if (word === 'throttle') throttle = Number(n);
}).on('close', () => process.exit(0));
