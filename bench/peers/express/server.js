// express with express-session and connect-redis: `node server.js PORT REDIS_URL WORKERS`.
import cluster from "node:cluster";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const [port, redis, workers] = process.argv.slice(2);
if (cluster.isPrimary && Number(workers) > 1) {
  for (let worker = 0; worker < Number(workers); worker += 1) cluster.fork();
  cluster.on("exit", () => process.exit(1));
} else {
  await serve();
}

async function serve() {
  const client = createClient({ url: redis });
  await client.connect();
  const app = express();
  app.use(
    session({
      store: new RedisStore({ client }),
      secret: "benchmark-secret-of-more-than-32-bytes",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 1_800_000 },
    }),
  );
  app.post("/login", (request, response) => {
    const [login_id] = Object.keys(request.query);
    Object.assign(request.session, { login_id, role: "admin", locale: "en-GB", plan: "pro" });
    end(response);
  });
  app.get("/check", (request, response) => {
    const { login_id } = request.session;
    if (login_id) end(response.set("x-auth-login-id", login_id));
    else end(response.status(401));
  });
  app.listen(Number(port), "127.0.0.1");
}

// Without a length, express-session makes it a chunked answer.
function end(response) {
  response.set("content-length", "0").end();
}
