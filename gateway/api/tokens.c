/*
 * tokens.c - who asks for tokens (docs/protocol-client.md): servers with an API
 * key, admins for members of their project, the chat page. Minting itself is in
 * minting.c.
 */
#include <stdio.h>

#include "gateway/api/minting.h"

void api_post_auth_token(struct api_request *req)
{
    mint_by_key(req, MINT_USER);
}

void api_post_auth_signin(struct api_request *req)
{
    mint_by_key(req, MINT_SIGNIN);
}

void api_post_tokens_anonymous(struct api_request *req)
{
    if (admit_allows_anonymous(req->api->admit)) {
        mint_by_key(req, MINT_ANONYMOUS);
        return;
    }
    req->errors_have_code = true;
    api_reply_error(req, ERROR_anonymous_not_allowed, slice_of(NULL, 0));
}

/* Members of the demo project only, whatever role is asked for. */
void api_post_demo_session(struct api_request *req)
{
    (void)json_object_del(req->body, "roles"); /* absent: nothing to take out */
    mint_for_project(req, MINT_USER, SLICE_LIT("demo"), req->api->demo_project, ROLE_MEMBER);
}

/* An admin makes members. Who may make admins is the operator, and he says for which project,
 * lest an office in his own is handed out by mistake. */
void api_post_admin_member_token(struct api_request *req)
{
    const struct token *token = &req->admission.token;
    struct json_fields f = json_fields(req->body);
    struct slice asked = json_get_id_opt(&f, "projectId", ERROR_invalid_id);
    bool is_operator = req->api->operator_project[0] &&
                       strcmp(token->project, req->api->operator_project) == 0;
    char asker[2 * ID_MAX + 2], project[ID_MAX + 1];

    if (!api_fields_ok(req, &f))
        return;
    if (!(token->roles & (ROLE_OWNER | ROLE_ADMIN)) || token->room[0] ||
        (asked.len && !is_operator && !slice_eq_str(asked, token->project))) {
        api_reply_error(req, ERROR_forbidden, slice_of(NULL, 0));
        return;
    }
    snprintf(asker, sizeof(asker), "%s/%s", token->project, token->user);
    snprintf(project, sizeof(project), "%.*s", asked.len ? (int)asked.len : ID_MAX,
             asked.len ? asked.data : token->project);
    mint_for_project(req, MINT_USER, slice_str(asker), project,
                     is_operator && asked.len ? MINT_ANY_ROLE : MINT_ANY_ROLE & ~MINT_ELEVATED);
}
