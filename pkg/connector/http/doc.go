// Package http is the source that asks URLs for JSON, again and again: requests with retries, validators and pages, and a Reader
// that hands out their items one after another. What an answer means is package polling's to say.
//
// HTTP has no offsets, so a position is what polling.Position holds, and an item's number is counted here. The guarantee that follows:
// each version of an item that the Reader is shown by the server is handed out once with regard to the position that was restored. An
// item that was handed out after that position and has vanished or changed since is gone in its old form, as the server keeps no past.
//
// Credentials are in no error and no name: a URL is named without user and query.
package http
