// A relying party on openid-client: reads one wish a line as JSON, answers one line. What it checks, it checks by its own code.
import { createInterface } from 'node:readline'
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, CLIENT_JWK, AUTH_METHOD, REDIRECT_URI, SCOPE } = process.env

async function privateKey () {
  const jwk = JSON.parse(CLIENT_JWK)
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  return { key, kid: jwk.kid }
}

const authentication = {
  client_secret_basic: async () => client.ClientSecretBasic(CLIENT_SECRET),
  client_secret_post: async () => client.ClientSecretPost(CLIENT_SECRET),
  none: async () => client.None(),
  private_key_jwt: async () => client.PrivateKeyJwt(await privateKey())
}

let config = await client.discovery(new URL(ISSUER), CLIENT_ID, {}, await authentication[AUTH_METHOD](), {
  execute: [client.allowInsecureRequests]
})
client.enableNonRepudiationChecks(config)
const sent = {}
let tokens = null

const wishes = {
  async register ({ token, metadata }) {
    config = await client.dynamicClientRegistration(new URL(ISSUER), metadata, undefined, {
      initialAccessToken: token, execute: [client.allowInsecureRequests]
    })
    client.enableNonRepudiationChecks(config)
    return { client: config.clientMetadata() }
  },
  async begin ({ via = 'plain', params = {} }) {
    sent.verifier = client.randomPKCECodeVerifier()
    sent.state = client.randomState()
    sent.nonce = client.randomNonce()
    const all = {
      redirect_uri: REDIRECT_URI,
      scope: SCOPE,
      state: sent.state,
      nonce: sent.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(sent.verifier),
      code_challenge_method: 'S256',
      ...params
    }
    const build = {
      plain: () => client.buildAuthorizationUrl(config, all),
      par: () => client.buildAuthorizationUrlWithPAR(config, all),
      jar: async () => client.buildAuthorizationUrlWithJAR(config, all, await privateKey())
    }
    return { url: (await build[via]()).href }
  },
  async finish ({ url, form, maxAge }) {
    const landed = form
      ? new Request(url, { method: 'POST', body: new URLSearchParams(form) })
      : new URL(url)
    tokens = await client.authorizationCodeGrant(config, landed, {
      pkceCodeVerifier: sent.verifier, expectedState: sent.state, expectedNonce: sent.nonce, idTokenExpected: true, maxAge
    })
    return { tokens, claims: tokens.claims() }
  },
  async refresh () {
    const before = tokens
    tokens = await client.refreshTokenGrant(config, before.refresh_token)
    return { rotated: tokens.refresh_token !== before.refresh_token, claims: tokens.claims() }
  },
  async userinfo ({ sub }) {
    return { userinfo: await client.fetchUserInfo(config, tokens.access_token, sub) }
  },
  async introspect () {
    return { introspection: await client.tokenIntrospection(config, tokens.access_token) }
  },
  async revoke () {
    await client.tokenRevocation(config, tokens.refresh_token)
    return {}
  },
  async device ({ params = {} }) {
    sent.device = await client.initiateDeviceAuthorization(config, { scope: SCOPE, ...params })
    return { device: sent.device }
  },
  async poll () {
    tokens = await client.pollDeviceAuthorizationGrant(config, sent.device, undefined, {
      signal: AbortSignal.timeout(60_000)
    })
    return { claims: tokens.claims() }
  },
  async logout ({ to }) {
    const url = client.buildEndSessionUrl(config, {
      post_logout_redirect_uri: to, id_token_hint: tokens.id_token, state: 'bye'
    })
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
