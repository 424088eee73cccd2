// Passkeys: asks the service for a challenge, the browser for an answer, and puts it into the form.
"use strict";

const octets = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const coded = (buffer) =>
  buffer === null || buffer === undefined
    ? undefined
    : btoa(String.fromCharCode(...new Uint8Array(buffer)))
        .replace(/\+/g, "-")
        .replace(/\//g, "_")
        .replace(/=+$/, "");
const named = (list) => (list || []).map((one) => ({ ...one, id: octets(one.id) }));

async function ask(part) {
  const form = part.closest("form");
  const reply = await fetch(part.dataset.challenge, {
    method: "POST",
    credentials: "same-origin",
    body: new URLSearchParams({ csrf: form.elements.csrf.value }),
  });
  if (!reply.ok) throw new Error(reply.status);
  const { publicKey } = await reply.json();
  publicKey.challenge = octets(publicKey.challenge);
  let made;
  if (part.dataset.passkey === "create") {
    publicKey.user.id = octets(publicKey.user.id);
    publicKey.excludeCredentials = named(publicKey.excludeCredentials);
    made = await navigator.credentials.create({ publicKey });
  } else {
    publicKey.allowCredentials = named(publicKey.allowCredentials);
    made = await navigator.credentials.get({ publicKey });
  }
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (made.response[name]) response[name] = coded(made.response[name]);
  }
  const id = coded(made.rawId);
  return JSON.stringify({ id, rawId: id, type: made.type, response, clientExtensionResults: {} });
}

for (const part of document.querySelectorAll("[data-passkey]")) {
  const [button, done, failed] = ["button", ".passkey-done", ".passkey-failed"].map((one) =>
    part.querySelector(one),
  );
  if (!window.PublicKeyCredential) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    done.hidden = failed.hidden = true;
    try {
      part.querySelector("input").value = await ask(part);
      if ("submits" in part.dataset) part.closest("form").submit();
      else done.hidden = false;
    } catch {
      failed.hidden = false;
    }
    button.disabled = false;
  });
}
