// A SIP phone in a browser, as SIP.js makes one. It says a tone instead of a microphone's sound and keeps what it hears.
import { Inviter, Registerer, SessionState, UserAgent, Web } from "/sip.js/lib/index.js";

const RATE = 48000;
const KEPT_SECONDS = 5;
const CHUNK = 128; // samples of a render quantum

const sound = new AudioContext({ sampleRate: RATE });
const tone = sound.createOscillator();
const loudness = sound.createGain();
const microphone = sound.createMediaStreamDestination();
loudness.gain.value = 0;
tone.connect(loudness).connect(microphone);
tone.start();

await sound.audioWorklet.addModule("recorder.js");
const chunks = [];
let agent, registerer, session, ringing;

// Resolves when SIP.js calls one of the two.
function answered(ask) {
  return new Promise((resolve, reject) => {
    const refused = (response) => reject(new Error(`${response.message.statusCode} ${response.message.reasonPhrase}`));
    ask({ onAccept: resolve, onReject: refused }).catch(reject);
  });
}

function reached(wanted) {
  return new Promise((resolve, reject) => {
    const look = (state) => {
      if (state === wanted) resolve();
      else if (state === SessionState.Terminated) reject(new Error("the call has ended"));
    };
    session.stateChange.addListener(look);
    look(session.state);
  });
}

// Sound of a call flows only where an element plays it, too.
function listen() {
  const { peerConnection } = session.sessionDescriptionHandler;
  const stream = new MediaStream(peerConnection.getReceivers().map((receiver) => receiver.track));
  const element = new Audio();
  element.srcObject = stream;
  element.muted = true;
  element.play();
  const recorder = new AudioWorkletNode(sound, "recorder");
  recorder.port.onmessage = ({ data }) => {
    chunks.push(data);
    if (chunks.length > (KEPT_SECONDS * RATE) / CHUNK) chunks.shift();
  };
  sound.createMediaStreamSource(stream).connect(recorder);
}

// Of 16 bits.
function samples() {
  const all = new Int16Array(chunks.length * CHUNK);
  chunks.forEach((chunk, at) => all.set(chunk.map((sample) => sample * 32767), at * CHUNK));
  return all;
}

function base64(numbers) {
  const octets = new Uint8Array(numbers.buffer);
  let text = "";
  for (let at = 0; at < octets.length; at += 8192) text += String.fromCharCode(...octets.subarray(at, at + 8192));
  return btoa(text);
}

window.phone = {
  async register(server, user, password) {
    const host = new URL(server).hostname;
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${host}`),
      authorizationUsername: user,
      authorizationPassword: password,
      transportOptions: { server },
      logLevel: "warn",
      sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory(async () => microphone.stream),
      sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 2000, peerConnectionConfiguration: { iceServers: [] } },
      delegate: { onInvite: (invitation) => (ringing = invitation) },
    });
    await agent.start();
    registerer = new Registerer(agent);
    await answered((requestDelegate) => registerer.register({ requestDelegate }));
  },
  rings: () => ringing && ringing.remoteIdentity.uri.user,
  async answer() {
    session = ringing;
    await session.accept();
    await reached(SessionState.Established);
    listen();
  },
  async call(number) {
    session = new Inviter(agent, UserAgent.makeURI(`sip:${number}@${agent.configuration.uri.host}`));
    await answered((requestDelegate) => session.invite({ requestDelegate }));
    await reached(SessionState.Established);
    listen();
  },
  say(hz) {
    tone.frequency.value = hz;
    loudness.gain.value = 0.3;
  },
  press: (digit) => session.sessionDescriptionHandler.sendDtmf(digit),
  hold: (held) =>
    answered((requestDelegate) =>
      session.invite({ requestDelegate, sessionDescriptionHandlerModifiers: held ? [Web.holdModifier] : [] })),
  hangUp: () => session.bye(),
  isOver: () => session.state === SessionState.Terminated,
  heard: (seconds) => base64(samples().slice(-seconds * RATE)),
  codec: async () => {
    const report = await session.sessionDescriptionHandler.peerConnection.getStats();
    const stats = [...report.values()];
    const stream = stats.find((one) => one.type === "inbound-rtp");
    return stats.find((one) => one.id === stream.codecId).mimeType;
  },
};
