// Holds what we send against Discord's published schemas: a line `["<schema>", <body>]` each on standard input. Objects
// are made strict, so that a member that Discord does not know is a finding too.
import { createInterface } from "node:readline";
import * as spec from "discord-api-spec/zod";
import * as z from "zod";

const schemas = {
  "message": spec.MessageCreateRequestSchema,
  "message-edit": spec.MessageEditRequestPartialSchema,
  "webhook": spec.IncomingWebhookRequestPartialSchema,
  "webhook-edit": spec.IncomingWebhookUpdateRequestPartialSchema,
  "thread": spec.CreateTextThreadWithMessageRequestSchema,
  "direct": spec.CreatePrivateChannelRequestSchema,
  "commands": z.array(spec.ApplicationCommandUpdateRequestSchema),
  "callback-message": spec.CreateMessageInteractionCallbackRequestSchema,
  "callback-modal": spec.ModalInteractionCallbackRequestSchema,
  "callback-choices": spec.ApplicationCommandAutocompleteCallbackRequestSchema,
  "callback-pong": spec.PongInteractionCallbackRequestSchema,
};

let lines = 0;
let wrong = 0;
const seen = {};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, body] = JSON.parse(line);
  lines += 1;
  seen[name] = (seen[name] ?? 0) + 1;
  const schema = schemas[name];
  const result = schema ? schema.safeParse(body) : { success: false, error: `no schema ${name}` };
  // What the schema takes and throws away, Discord would not know either.
  const unknown = result.success ? dropped(body, result.data, name) : [];
  if (!result.success || unknown.length > 0) {
    wrong += 1;
    console.log(`${name}: ${result.success ? unknown.join(", ") : result.error.message ?? result.error}\n  ${line.slice(0, 600)}`);
  }
}
console.log(`${lines} bodies, ${wrong} wrong: ${Object.entries(seen).map(([name, n]) => `${n} ${name}`).sort().join(", ")}`);
process.exit(wrong > 0 || lines === 0 ? 1 : 0);

function dropped(sent, taken, at) {
  if (Array.isArray(sent)) {
    return sent.flatMap((one, i) => dropped(one, taken?.[i], `${at}[${i}]`));
  }
  if (sent !== null && typeof sent === "object") {
    return Object.keys(sent).flatMap((key) =>
      taken !== null && typeof taken === "object" && key in taken
        ? dropped(sent[key], taken[key], `${at}.${key}`)
        : [`${at}.${key} is unknown`]);
  }
  return [];
}
