// What a program with crossbar-nodejs does with its fax account, by promises. Arguments: port, account's name, user's
// name, password, and either `send` DOCUMENT FROM TO or `read` FILE.
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
const crossbar = require('crossbar-nodejs');

const [port, account, user, password, what, ...rest] = process.argv.slice(2);

function call(client, api, name, data, encoding) {
    return new Promise((resolve, reject) => {
        client.api[api][name](data, (error, body) => (error ? reject(error) : resolve(body)), encoding);
    });
}
// Bodies of GET come to the caller as they are.
const get = async (client, api, name, data) => JSON.parse(await call(client, api, name, data));

async function main() {
    const credentials = crypto.createHash('md5').update(`${user}:${password}`).digest('hex');
    // The client's own default is version 1.
    for (const version of [undefined, 'v2']) {
        const client = new crossbar({ url: 'http://127.0.0.1', port, version });
        const wrong = { data: { credentials: '0'.repeat(32), account_name: account } };
        await assert.rejects(call(client, 'user_auth', 'create_user_auth', wrong), (e) => e.status === 'error' && e.error === '401');
        const login = await call(client, 'user_auth', 'create_user_auth', { data: { credentials, account_name: account } });
        assert.strictEqual(login.status, 'success');
        client.set_auth_token(login.auth_token);
        const of = { account_id: login.data.account_id };
        assert.strictEqual((await get(client, 'accounts', 'get_account', { url_params: of })).data.name, account);
        await get(client, 'accounts', 'get_children', { url_params: of });
        await get(client, 'accounts', 'get_descendants', { url_params: of });
        const users = await get(client, 'users', 'get_users', { url_params: of });
        assert.deepStrictEqual(users.data.map((u) => u.username), [user]);

        const faxes = await get(client, 'faxes', 'get_faxes', { url_params: of, query_string: '?page_size=10' });
        assert.strictEqual(faxes.status, 'success');
        if (what === 'read') {
            assert.strictEqual(faxes.data.length, 1);
            const one = { ...of, fax_id: faxes.data[0].id };
            const fax = (await get(client, 'faxes', 'get_incoming_fax', { url_params: one })).data;
            assert.strictEqual(fax.rx_result.success, true);
            assert.strictEqual(fax.rx_result.total_pages, 1);
            const octets = await call(client, 'faxes', 'download_incoming_fax', { url_params: one }, null);
            assert.strictEqual(octets.subarray(0, 5).toString(), '%PDF-');
            fs.writeFileSync(rest[0], octets);
            const nothing = { ...of, fax_id: '0'.repeat(32) };
            const none = await get(client, 'faxes', 'get_incoming_fax', { url_params: nothing });
            assert.deepStrictEqual([none.status, none.error], ['error', '404']);
        } else if (version === undefined) {
            const [document, from_number, to_number] = rest;
            await assert.rejects(call(client, 'faxes', 'create_outgoing_fax', { url_params: of, data: { from_number } }),
                (e) => e.error === '400' && 'to_number' in e.data);
            const made = await call(client, 'faxes', 'create_outgoing_fax', {
                url_params: of,
                data: { from_number, to_number, document: { url: document, method: 'get' }, retries: 3 },
            });
            assert.strictEqual(made.status, 'success');
            console.log(made.data.id);
        }
    }
}

main().catch((e) => {
    console.error(e);
    process.exit(1);
});
