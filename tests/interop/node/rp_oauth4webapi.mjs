// A relying party on oauth4webapi, step by step as its documentation shows; the same wishes as rp_openid_client.mjs.
import { createInterface } from 'node:readline'
import * as oauth from 'oauth4webapi'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, CLIENT_JWK, AUTH_METHOD, REDIRECT_URI, SCOPE } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }

async function privateKey () {
  const jwk = JSON.parse(CLIENT_JWK)
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  return { key, kid: jwk.kid }
}

const issuer = new URL(ISSUER)
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oidc' }))
const party = { client_id: CLIENT_ID }
const auth = await {
  client_secret_basic: () => oauth.ClientSecretBasic(CLIENT_SECRET),
  client_secret_post: () => oauth.ClientSecretPost(CLIENT_SECRET),
  none: () => oauth.None(),
  private_key_jwt: async () => oauth.PrivateKeyJwt(await privateKey())
}[AUTH_METHOD]()
const sent = {}
let tokens = null

const wishes = {
  async begin ({ via = 'plain', params = {} }) {
    sent.verifier = oauth.generateRandomCodeVerifier()
    sent.state = oauth.generateRandomState()
    sent.nonce = oauth.generateRandomNonce()
    const all = new URLSearchParams({
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      scope: SCOPE,
      state: sent.state,
      nonce: sent.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(sent.verifier),
      code_challenge_method: 'S256',
      ...params
    })
    const url = new URL(server.authorization_endpoint)
    if (via === 'par') {
      const answer = await oauth.pushedAuthorizationRequest(server, party, auth, all, insecure)
      const pushed = await oauth.processPushedAuthorizationResponse(server, party, answer)
      url.search = new URLSearchParams({ client_id: CLIENT_ID, request_uri: pushed.request_uri })
    } else if (via === 'jar') {
      const request = await oauth.issueRequestObject(server, party, all, await privateKey())
      url.search = new URLSearchParams({ client_id: CLIENT_ID, request })
    } else {
      url.search = all
    }
    return { url: url.href }
  },
  async finish ({ url, form, maxAge }) {
    const landed = form ? new URLSearchParams(form) : new URL(url)
    const params = oauth.validateAuthResponse(server, party, landed, sent.state)
    const answer = await oauth.authorizationCodeGrantRequest(server, party, auth, params, REDIRECT_URI, sent.verifier, insecure)
    const copy = answer.clone()
    tokens = await oauth.processAuthorizationCodeResponse(server, party, answer, {
      expectedNonce: sent.nonce, requireIdToken: true, maxAge
    })
    await oauth.validateApplicationLevelSignature(server, answer, insecure)
    void copy
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens) }
  },
  async refresh () {
    const before = tokens
    const answer = await oauth.refreshTokenGrantRequest(server, party, auth, before.refresh_token, insecure)
    tokens = await oauth.processRefreshTokenResponse(server, party, answer)
    return { rotated: tokens.refresh_token !== before.refresh_token, claims: oauth.getValidatedIdTokenClaims(tokens) }
  },
  async userinfo ({ sub }) {
    const answer = await oauth.userInfoRequest(server, party, tokens.access_token, insecure)
    return { userinfo: await oauth.processUserInfoResponse(server, party, sub, answer) }
  },
  async introspect () {
    const answer = await oauth.introspectionRequest(server, party, auth, tokens.access_token, { ...insecure, requestJwtResponse: true })
    const introspection = await oauth.processIntrospectionResponse(server, party, answer)
    if (answer.headers.get('content-type').startsWith('application/token-introspection+jwt')) {
      await oauth.validateApplicationLevelSignature(server, answer, insecure)
    }
    return { introspection, type: answer.headers.get('content-type') }
  },
  async revoke () {
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, party, auth, tokens.refresh_token, insecure))
    return {}
  },
  async device ({ params = {} }) {
    const answer = await oauth.deviceAuthorizationRequest(server, party, auth, { scope: SCOPE, ...params }, insecure)
    sent.device = await oauth.processDeviceAuthorizationResponse(server, party, answer)
    return { device: sent.device }
  },
  async poll () {
    const answer = await oauth.deviceCodeGrantRequest(server, party, auth, sent.device.device_code, insecure)
    tokens = await oauth.processDeviceCodeResponse(server, party, answer)
    return { claims: oauth.getValidatedIdTokenClaims(tokens) }
  },
  async resource ({ audience }) {
    const request = new Request('https://api.example/', { headers: { authorization: `Bearer ${tokens.access_token}` } })
    return { claims: await oauth.validateJwtAccessToken(server, request, audience, insecure) }
  },
  async logout ({ to }) {
    const url = new URL(server.end_session_endpoint)
    url.search = new URLSearchParams({ post_logout_redirect_uri: to, id_token_hint: tokens.id_token, state: 'bye' })
    return { url: url.href }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { wish, ...rest } = JSON.parse(line)
  try {
    console.log(JSON.stringify(await wishes[wish](rest)))
  } catch (error) {
    console.log(JSON.stringify({ error: error.error ?? error.code ?? error.name, message: String(error.cause?.message ?? error.message) }))
  }
}
