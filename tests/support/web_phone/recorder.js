// Hands what is heard to the page, from the thread of the sound: a busy page loses none of it.
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([[heard]]) {
    if (heard) this.port.postMessage(heard.slice());
    return true;
  }
});
