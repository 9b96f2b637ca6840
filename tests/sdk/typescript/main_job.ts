// The main job, done with the generated TypeScript types: one session, seen by two services, from opening to logout.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type CreatedSession = components["schemas"]["CreatedSession"];
type Gateway = ReturnType<typeof client>;

declare const process: { env: Record<string, string | undefined> };

const LOGIN = "typescript/zoë";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function client(serviceId: string, secret: string) {
  return createClient<paths>({
    baseUrl: setting("GATEWAY_URL"),
    headers: { Authorization: `Basic ${btoa(`${serviceId}:${secret}`)}` },
  });
}

function expectEqual(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}, got ${a}`);
}

/** What the call answered; throws if it failed. */
function answered<T>(result: { data?: T; error?: unknown }): NonNullable<T> {
  if (result.data === undefined || result.data === null) {
    throw new Error(`failed: ${JSON.stringify(result.error)}`);
  }
  return result.data;
}

async function register(admin: Gateway, serviceId: string, permissions: string[]): Promise<Gateway> {
  const created = answered(
    await admin.POST("/v1/services", {
      body: { service_id: serviceId, service_name: serviceId, permissions },
    }),
  );
  expectEqual(created.service.permissions, permissions);
  return client(serviceId, created.secret);
}

async function openSession(service: Gateway, device: string): Promise<CreatedSession> {
  const created = answered(
    await service.POST("/v1/sessions", {
      body: { login_id: LOGIN, device, attributes: { role: "admin" } },
    }),
  );
  expectEqual(created.session.login_id, LOGIN);
  expectEqual(created.session.attributes, { role: "admin" });
  return created;
}

async function readFromAnotherService(reader: Gateway, opened: CreatedSession): Promise<void> {
  const path = { session_id: opened.session.session_id };
  const session = answered(await reader.GET("/v1/sessions/{session_id}", { params: { path } }));
  expectEqual(session, opened.session);

  const refused = await reader.DELETE("/v1/logins/{login_id}/sessions", {
    params: { path: { login_id: LOGIN } },
  });
  expectEqual(refused.response.status, 403);
  expectEqual(refused.error?.code, "permission_denied");
}

async function setAttributes(service: Gateway, sessionId: string): Promise<void> {
  const path = { session_id: sessionId };
  const body = { role: null, cart: { items: 2 }, locale: "fr" };
  const expected = { cart: { items: 2 }, locale: "fr" };
  const changed = answered(
    await service.PATCH("/v1/sessions/{session_id}/attributes", { params: { path }, body }),
  );
  expectEqual(changed.attributes, expected);

  const stale = await service.PATCH("/v1/sessions/{session_id}/attributes", {
    params: { path, header: { "If-Match": '"0"' } },
    body,
  });
  expectEqual(stale.response.status, 412);
  expectEqual(stale.error?.code, "version_conflict");

  const session = answered(await service.GET("/v1/sessions/{session_id}", { params: { path } }));
  expectEqual(session.attributes, expected);
  expectEqual(session.version, changed.version);
}

async function listDevices(service: Gateway, expected: string[]): Promise<void> {
  const path = { login_id: LOGIN };
  const summary = answered(await service.GET("/v1/logins/{login_id}", { params: { path } }));
  expectEqual([...summary.devices].sort(), expected);
  const page = answered(await service.GET("/v1/logins/{login_id}/sessions", { params: { path } }));
  expectEqual(page.items.map((session) => session.device).sort(), expected);
  expectEqual(page.next_cursor, null);
}

async function verify(service: Gateway, token: string) {
  return answered(await service.POST("/v1/tokens/verify", { body: { token } }));
}

async function logOutEverywhere(service: Gateway, opened: CreatedSession[]): Promise<void> {
  const path = { login_id: LOGIN };
  const ended = answered(
    await service.DELETE("/v1/logins/{login_id}/sessions", { params: { path } }),
  );
  expectEqual([...ended.session_ids].sort(), opened.map((each) => each.session.session_id).sort());
  expectEqual(ended.count, opened.length);

  for (const { session, token } of opened) {
    const answer = await verify(service, token);
    expectEqual(answer.active, false);
    expectEqual(answer.reason, "logout");
    expectEqual(answer.ended?.by, "typescript-shop");

    const over = await service.GET("/v1/sessions/{session_id}", {
      params: { path: { session_id: session.session_id } },
    });
    expectEqual(over.response.status, 410);
    expectEqual(over.error?.ended?.reason, "logout");
  }
}

const admin = client("admin", setting("ADMIN_SECRET"));
const shop = await register(admin, "typescript-shop", ["session.*", "attribute.*", "login.read", "token.verify"]);
const profile = await register(admin, "typescript-profile", ["session.read"]);

const phone = await openSession(shop, "ios");
const laptop = await openSession(shop, "web");
await readFromAnotherService(profile, phone);
await setAttributes(shop, phone.session.session_id);
await listDevices(shop, ["ios", "web"]);

const answer = await verify(shop, phone.token);
expectEqual(answer.active, true);
expectEqual(answer.session?.session_id, phone.session.session_id);
expectEqual((answer.remaining_seconds ?? 0) > 0, true);
expectEqual((await verify(shop, "no such token")).reason, "unknown_token");

await logOutEverywhere(shop, [phone, laptop]);
