// MQTT.js over WebSocket: says on stdout, in one line of JSON, what it heard.
import mqtt from "mqtt";

const [url, version, user, key, topic, bytes] = process.argv.slice(2);
const client = mqtt.connect(url, {
  protocolVersion: Number(version), username: user, password: key, clientId: user, reconnectPeriod: 0, connectTimeout: 10000,
});
const payload = "z".repeat(Number(bytes));
const end = (said) => { console.log(JSON.stringify(said)); client.end(true); };
client.on("error", (error) => end({ error: error.message }));
client.on("connect", () => {
  client.subscribe(topic, { qos: 1 }, (error, granted) => {
    if (error) return end({ error: error.message });
    client.on("message", (on, message) => {
      if (message.length === payload.length) end({ granted: granted[0].qos, on, bytes: message.length });
    });
    client.publish(topic, payload, { qos: 1 }, (error) => { if (error) end({ error: error.message }); });
  });
});
