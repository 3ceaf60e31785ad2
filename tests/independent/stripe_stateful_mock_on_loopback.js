// stripe-stateful-mock on a free port of the loopback interface; prints the port. Its own command listens on every interface.
const path = require("path");
const root = path.resolve(process.argv[2]);
require(path.join(root, "node_modules/loglevel")).setLevel("silent");
const { createExpressApp } = require(path.join(root, "node_modules/stripe-stateful-mock"));
const server = createExpressApp().listen(0, "127.0.0.1", () => console.log(server.address().port));
