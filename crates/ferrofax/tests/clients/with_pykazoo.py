"""What a program with PyKazoo does with its fax account. Arguments: URL, key, address of a document, a number to fax to."""
import sys

from pykazoo.client import PyKazooClient

url, key, document, number = sys.argv[1:5]


def refused(kind, act):
    try:
        act()
    except kind:
        return
    raise AssertionError("this was to be refused with " + kind.__name__)


client = PyKazooClient(url)
assert not client.authentication.authenticated
refused(PermissionError, lambda: client.authentication.api_auth("0" * 64))
login = client.authentication.api_auth(key)
assert client.authentication.authenticated and login["status"] == "success", login
account = client.authentication.account_id
name = client.accounts.get_account(account)["data"]["name"]
assert name == login["data"]["account_name"], name

# A user, who then works with a client of his own.
user = client.users.create_user(account, {"data": {
    "username": "Nurse", "password": "s3cret-of-the-nurse", "first_name": "N", "last_name": "N", "priv_level": "admin",
}})["data"]
assert [u["id"] for u in client.users.get_users(account)["data"]] == [user["id"]]
user["first_name"] = "Nadja"
assert client.users.update_user(account, user["id"], {"data": user})["data"]["first_name"] == "Nadja"
assert client.users.get_user(account, user["id"])["data"]["first_name"] == "Nadja"
nurse = PyKazooClient(url)
refused(PermissionError, lambda: nurse.authentication.user_auth("nurse", "wrong", name))
login = nurse.authentication.user_auth("nurse", "s3cret-of-the-nurse", name)["data"]
assert (login["account_id"], login["owner_id"]) == (account, user["id"]), login

# A faxbox, by the requests that the client is made of, and a call flow that leads to it.
request = nurse.faxes.rest_request
at = "accounts/" + account + "/faxboxes"
box = request.put(at, {"data": {"name": "Ward", "caller_id": number, "retries": "2"}})["data"]
assert box["retries"] == 2, box
box["name"] = "Ward 2"
assert request.post(at + "/" + box["id"], {"data": box})["data"]["name"] == "Ward 2"
flow = nurse.callflows.create_callflow(account, {"data": {
    "numbers": ["+14155550177"], "flow": {"module": "faxbox", "data": {"id": box["id"]}, "children": {}},
}})["data"]
assert nurse.callflows.get_callflow(account, flow["id"])["data"]["flow"]["data"]["id"] == box["id"]
nurse.callflows.delete_callflow(account, flow["id"])
refused(ValueError, lambda: nurse.callflows.get_callflow(account, flow["id"]))
nurse.phonenumbers.get_phone_numbers(account)

# Faxes.
assert nurse.faxes.get_faxes(account)["data"] == []
refused(ValueError, lambda: nurse.faxes.create_fax(account, {"data": {"from_number": number}}))
fax = nurse.faxes.create_fax(account, {"data": {
    "document": {"url": document, "method": "get"},
    "retries": 3,
    "from_name": "Ward",
    "from_number": number,
    "to_name": "Nobody",
    "to_number": "+14155550142",
    "fax_identity_number": number,
    "fax_identity_name": "Ward",
    "send_at": 95617584000,
}})
assert fax["status"] == "success" and fax["data"]["attempts"] == 0, fax
assert fax["data"]["tx_result"]["success"] is False, fax
ids = [f["id"] for f in nurse.faxes.get_faxes(account)["data"]]
assert ids == [fax["data"]["id"]], ids
same = nurse.faxes.get_faxes(account, {"filter_to": "+14155550142", "paginate": "false"})["data"]
assert [f["id"] for f in same] == ids, same
assert nurse.faxes.get_faxes(account, {"filter_to": "+1"})["data"] == []
queue = "accounts/" + account + "/faxes/outgoing/" + ids[0]
assert request.delete(queue)["data"]["_read_only"]["deleted"] is True

request.delete(at + "/" + box["id"])
client.users.delete_user(account, user["id"])
refused(PermissionError, lambda: nurse.faxes.get_faxes(account))
refused((ValueError, PermissionError, RuntimeError), lambda: client.faxes.get_faxes("0" * 32))
print("ok")
