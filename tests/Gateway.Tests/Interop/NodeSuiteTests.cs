namespace Gateway.Tests.Interop;

/// <summary>The suites take turns: each of them starts a gateway and several tool servers.</summary>
[CollectionDefinition(Name)]
public sealed class InteropCollection
{
    public const string Name = "Interop";
}

/// <summary>The official OpenAI client for Node.</summary>
[Collection(InteropCollection.Name)]
public sealed class OpenAiNodeTests(OpenAiNodeTests.Suite suite) : IClassFixture<OpenAiNodeTests.Suite>
{
    private const string File = "openai.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void OpenAiNodeClient_RealGateway_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>The SDKs of four vendors, before providers of each format.</summary>
[Collection(InteropCollection.Name)]
public sealed class ModelSdksTests(ModelSdksTests.Suite suite) : IClassFixture<ModelSdksTests.Suite>
{
    private const string File = "model-sdks.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Sdk_BeforeProvidersOfEachFormat_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>What is signed for Amazon Bedrock, beside AWS's own signer.</summary>
[Collection(InteropCollection.Name)]
public sealed class BedrockSigningTests(BedrockSigningTests.Suite suite) : IClassFixture<BedrockSigningTests.Suite>
{
    private const string File = "bedrock-signing.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Signature_ByTheGateway_IsThatOfTheSigner(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>LangChain and the Vercel AI SDK, before providers of each format.</summary>
[Collection(InteropCollection.Name)]
public sealed class FrameworksTests(FrameworksTests.Suite suite) : IClassFixture<FrameworksTests.Suite>
{
    private const string File = "frameworks.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Framework_BeforeProvidersOfEachFormat_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>The MCP client of the 1.x SDK, which shakes hands.</summary>
[Collection(InteropCollection.Name)]
public sealed class McpSdkV1Tests(McpSdkV1Tests.Suite suite) : IClassFixture<McpSdkV1Tests.Suite>
{
    private const string File = "mcp-sdk-v1.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void McpSdkV1Client_RealToolServers_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>The MCP client of the 2.x line, which speaks both eras.</summary>
[Collection(InteropCollection.Name)]
public sealed class McpClientV2Tests(McpClientV2Tests.Suite suite) : IClassFixture<McpClientV2Tests.Suite>
{
    private const string File = "mcp-client-v2.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void McpClientV2_RealToolServers_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>Everything beside tools, asked by the clients of both SDK lines: prompts, resources, completion, logs, sampling, elicitation, roots.</summary>
[Collection(InteropCollection.Name)]
public sealed class McpFeatureTests(McpFeatureTests.Suite suite) : IClassFixture<McpFeatureTests.Suite>
{
    private const string File = "mcp-features.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void McpClients_FeaturesOfTheReferenceServer_Pass(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File, InteropFolder.IsInstalled ? null : InteropFolder.Missing, "server: {legacySse: true}");
}

/// <summary>A tool server asked directly, and through the gateway.</summary>
[Collection(InteropCollection.Name)]
public sealed class ComparisonTests(ComparisonTests.Suite suite) : IClassFixture<ComparisonTests.Suite>
{
    private const string File = "compare.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void ToolServer_DirectAndThroughTheGateway_SaysTheSame(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>Both MCP clients through <c>gateway bridge</c>.</summary>
[Collection(InteropCollection.Name)]
public sealed class BridgeSuiteTests(BridgeSuiteTests.Suite suite) : IClassFixture<BridgeSuiteTests.Suite>
{
    private const string File = "bridge.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void McpClients_ThroughTheBridge_Pass(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>mcp-remote, a bridge that others wrote.</summary>
[Collection(InteropCollection.Name)]
public sealed class McpRemoteTests(McpRemoteTests.Suite suite) : IClassFixture<McpRemoteTests.Suite>
{
    private const string File = "mcp-remote.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void McpRemote_RealToolServers_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>MCP Inspector's command line, in two generations.</summary>
[Collection(InteropCollection.Name)]
public sealed class InspectorTests(InspectorTests.Suite suite) : IClassFixture<InspectorTests.Suite>
{
    private const string File = "inspector.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Inspector_RealToolServers_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>Claude Code and Codex, with a fake model each.</summary>
[Collection(InteropCollection.Name)]
public sealed class AgentTests(AgentTests.Suite suite) : IClassFixture<AgentTests.Suite>
{
    private const string File = "agents.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Agent_ConnectedAsPrinted_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File, InteropFolder.AgentsAreInstalled ? null : InteropFolder.AgentsMissing);
}

/// <summary>Claude Code and Codex at work, with providers of each format.</summary>
[Collection(InteropCollection.Name)]
public sealed class CodingAgentTests(CodingAgentTests.Suite suite) : IClassFixture<CodingAgentTests.Suite>
{
    private const string File = "coding-agents.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Agent_WithProvidersOfEachFormat_DoesItsWork(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File, InteropFolder.AgentsAreInstalled ? null : InteropFolder.AgentsMissing);
}

/// <summary>The bundle for Claude Desktop, with the tools of its format.</summary>
[Collection(InteropCollection.Name)]
public sealed class BundleTests(BundleTests.Suite suite) : IClassFixture<BundleTests.Suite>
{
    private const string File = "bundle.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void Bundle_OfThisBuild_Works(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}

/// <summary>The page of the admin API in a browser.</summary>
[Collection(InteropCollection.Name)]
public sealed class AdminPageTests(AdminPageTests.Suite suite) : IClassFixture<AdminPageTests.Suite>
{
    private const string File = "admin-page.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void AdminPage_InChromium_Works(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File, InteropFolder.Chromium is null ? InteropFolder.ChromiumMissing : InteropFolder.IsInstalled ? null : InteropFolder.Missing);
}

/// <summary>The official OpenAI client for Node: pictures, audio, files, batches, realtime.</summary>
[Collection(InteropCollection.Name)]
public sealed class MediaNodeTests(MediaNodeTests.Suite suite) : IClassFixture<MediaNodeTests.Suite>
{
    private const string File = "media.mjs";

    public static TheoryData<string> Tests => InteropFolder.TestsOf(File);

    [Theory]
    [MemberData(nameof(Tests))]
    public void OpenAiNodeClient_MediaEndpoints_Passes(string test) => suite.AssertPassed(test);

    public sealed class Suite() : NodeSuite(File);
}
