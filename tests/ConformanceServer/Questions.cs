#pragma warning disable MCP9005 // Sampling is deprecated, and the suite tests it all the same.
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace ConformanceServer;

/// <summary>What clients are asked.</summary>
internal static class Questions
{
    public static ElicitRequestParams Defaults { get; } = Parse("""
        {"message":"Please review and update the form fields with defaults","requestedSchema":{"type":"object","properties":{
        "name":{"type":"string","description":"User name","default":"John Doe"},"age":{"type":"integer","description":"User age","default":30},"score":{"type":"number","description":"User score","default":95.5},
        "status":{"type":"string","description":"User status","enum":["active","inactive","pending"],"default":"active"},"verified":{"type":"boolean","description":"Verification status","default":true}},"required":[]}}
        """);

    public static ElicitRequestParams Enums { get; } = Parse("""
        {"message":"Please select options from the enum fields","requestedSchema":{"type":"object","properties":{
        "untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
        "titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
        "legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
        "untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
        "titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}},"required":[]}}
        """);

    public static ElicitRequestParams User(string message) => Parse($$$"""
        {"message":{{{JsonSerializer.Serialize(message)}}},"requestedSchema":{"type":"object","properties":{"username":{"type":"string","description":"User's response"},"email":{"type":"string","description":"User's email address"}},"required":["username","email"]}}
        """);

    public static ElicitRequestParams Of(string message, string field, string type = "string") => Parse($$$"""
        {"message":"{{{message}}}","requestedSchema":{"type":"object","properties":{"{{{field}}}":{"type":"{{{type}}}"}},"required":["{{{field}}}"]}}
        """);

    public static CreateMessageRequestParams Sampling(string prompt, int maxTokens) => new()
    {
        MaxTokens = maxTokens,
        Messages = [new SamplingMessage { Role = Role.User, Content = [new TextContentBlock { Text = prompt }] }],
    };

    private static ElicitRequestParams Parse(string json) => JsonSerializer.Deserialize<ElicitRequestParams>(json, McpJsonUtilities.DefaultOptions)!;
}
