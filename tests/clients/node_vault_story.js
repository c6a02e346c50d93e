// What node-vault's users do, against one region; then, after a switchover, against the other.
//
//     node node_vault_story.js before ADDRESS CA TOKEN NOTES     does all of it, and notes the token that lives on
//     node node_vault_story.js after  ADDRESS CA TOKEN NOTES     what was left behind is there, and the same token goes on
'use strict';

const assert = require('assert');
const fs = require('fs');
const nodeVault = require('node-vault');

const [step, address, ca, token, notesFile] = process.argv.slice(2);
const clientAs = (token) =>
    nodeVault({ apiVersion: 'v1', endpoint: address, token, requestOptions: { ca: fs.readFileSync(ca) } });

// node-vault takes every status but 200 and 204 as an error; its text is the first of `errors`.
async function refused(call, status, text) {
    const error = await call.then(() => assert.fail('an error was expected'), (error) => error);
    assert.strictEqual(error.response && error.response.statusCode, status, String(error));
    if (text) assert.ok(error.message.includes(text), error.message);
}

async function before(root) {
    assert.deepStrictEqual(await root.initialized(), { initialized: true });
    await refused(root.init({ secret_shares: 1, secret_threshold: 1 }), 400, 'Vault is already initialized');
    assert.strictEqual((await root.status()).sealed, false);
    assert.strictEqual((await root.health({})).initialized, true);
    assert.strictEqual((await root.leader()).ha_enabled, true);

    await root.mount({ mount_point: 'js-old', type: 'kv', options: { version: '1' } });
    await root.mount({ mount_point: 'js-kv', type: 'kv', options: { version: '2' } });
    assert.strictEqual((await root.mounts()).data['js-kv/'].type, 'kv');
    await root.remount({ from: 'js-old', to: 'js-plain' });
    await root.write('js-plain/hello', { value: 'world', list: [1, { deep: null }] });
    assert.deepStrictEqual((await root.read('js-plain/hello')).data, { value: 'world', list: [1, { deep: null }] });
    assert.deepStrictEqual((await root.list('js-plain')).data.keys, ['hello']);
    await root.write('js-plain/gone', { value: 1 });
    await root.delete('js-plain/gone');
    await refused(root.read('js-plain/gone'), 404);

    await root.write('js-kv/data/app/one', { data: { user: 'js', password: 'ünïcode \u{1f512}' } });
    const second = await root.write('js-kv/data/app/one', { data: { user: 'two' }, options: { cas: 1 } });
    assert.strictEqual(second.data.version, 2);
    await refused(root.write('js-kv/data/app/one', { data: {}, options: { cas: 1 } }), 400, 'check-and-set');
    assert.strictEqual((await root.read('js-kv/data/app/one?version=1')).data.data.user, 'js');
    await root.update('js-kv/data/app/one', { data: { more: true } });
    assert.deepStrictEqual((await root.read('js-kv/data/app/one')).data.data, { user: 'two', more: true });
    await root.delete('js-kv/data/app/one');
    await refused(root.read('js-kv/data/app/one'), 404);
    await root.write('js-kv/undelete/app/one', { versions: [3] });
    await root.write('js-kv/destroy/app/one', { versions: [1] });

    const rules = 'path "js-kv/data/app/*" { capabilities = ["read", "update"] }\npath "js-kv/metadata/*" { capabilities = ["list"] }';
    await root.addPolicy({ name: 'js-app', rules });
    assert.strictEqual((await root.getPolicy({ name: 'js-app' })).rules, rules);
    assert.ok((await root.policies()).policies.includes('js-app'));

    await root.write('auth/token/roles/js-role', { allowed_policies: 'js-app', renewable: true });
    assert.deepStrictEqual((await root.tokenRoles()).data.keys.includes('js-role'), true);
    // It takes over the token that it was given, so a client of its own for each.
    const made = await clientAs(token).tokenCreateRole({ role_name: 'js-role', ttl: '2h', policies: ['js-app'] });
    const app = clientAs(made.auth.client_token);
    assert.strictEqual((await app.read('js-kv/data/app/one')).data.data.user, 'two');
    await refused(app.read('js-plain/hello'), 403, 'permission denied');
    assert.strictEqual((await app.tokenLookupSelf()).data.role, 'js-role');
    assert.strictEqual((await app.tokenRenewSelf()).auth.client_token, made.auth.client_token);
    const orphan = await clientAs(token).tokenCreateOrphan({ ttl: '1h' });
    assert.strictEqual(orphan.auth.orphan, true);
    await root.tokenRevokeAccessor({ accessor: orphan.auth.accessor });
    await refused(clientAs(orphan.auth.client_token).tokenLookupSelf(), 403, 'permission denied');
    assert.ok((await root.tokenAccessors()).data.keys.includes(made.auth.accessor));

    const wrapped = await root.request({
        path: '/js-kv/data/app/one', method: 'GET', headers: { 'X-Vault-Token': token, 'X-Vault-Wrap-TTL': '10m' },
    });
    const unwrapped = await clientAs(wrapped.wrap_info.token).unwrap({ token: wrapped.wrap_info.token });
    assert.strictEqual(unwrapped.data.data.user, 'two');
    fs.writeFileSync(notesFile, JSON.stringify({ app: made.auth.client_token }));
}

async function after(root) {
    const notes = JSON.parse(fs.readFileSync(notesFile));
    const app = clientAs(notes.app);
    assert.strictEqual((await app.read('js-kv/data/app/one?version=2')).data.data.user, 'two');
    await refused(app.read('js-kv/data/app/one?version=1'), 404);
    await app.write('js-kv/data/app/one', { data: { user: 'elsewhere' } });
    assert.strictEqual((await app.read('js-kv/data/app/one')).data.metadata.version, 4);
    assert.deepStrictEqual((await app.list('js-kv/metadata/app')).data.keys, ['one']);
    assert.strictEqual((await root.read('js-plain/hello')).data.value, 'world');
    await app.tokenRevokeSelf();
    await refused(app.tokenLookupSelf(), 403, 'permission denied');
    await root.removePolicy({ name: 'js-app' });
    await root.unmount({ mount_point: 'js-plain' });
    await refused(root.read('js-plain/hello'), 404);
}

({ before, after })[step](clientAs(token)).then(
    () => console.log(`node-vault ${step}: done`),
    (error) => {
        console.error(error, error.response && JSON.stringify(error.response.body));
        process.exit(1);
    },
);
